// One look at the machine by every view. None costs another: each says for itself how far it got.
import type { Diagnostic } from '../diagnostics.ts';
import { readPins } from './bpffs.ts';
import { bpftoolLook } from './bpftool.ts';
import { readCgroups } from './cgroup.ts';
import { readHolders } from './holders.ts';
import { readKallsyms } from './kallsyms.ts';
import type { Observations } from './merge.ts';
import { readNet } from './net.ts';
import { type Kind, type Listed, NOTHING, readLaterObjects, readObjects } from './objects.ts';
import { withoutCalls } from './proc-programs.ts';
import { orAbsent, processIds } from './processes.ts';
import type { ProgramReader } from './programs.ts';
import type { KernelSymbol, View, Views } from './records.ts';
import type { Net } from './syscall.ts';

export interface Look {
  readonly views: Views;
  readonly seen: Observations;
  readonly symbols: readonly KernelSymbol[];
  /** What the kernel listed at the beginning or at the end. */
  readonly listed: Listed;
  /** Kinds whose list can be held against other views, and of which every listed object was read. */
  readonly ended: ReadonlySet<Kind>;
  readonly whole: ReadonlySet<Kind>;
  readonly diagnostics: readonly Diagnostic[];
}

export interface Surroundings {
  readonly proc: string;
  /** Milliseconds that looking for holders may take. */
  readonly holderBudget: number;
}

/** With bpf(2) and netlink. */
export async function look(reader: ProgramReader, net: Net, { proc, holderBudget }: Surroundings): Promise<Look> {
  const { bpf } = reader;
  const first = readObjects(reader);
  const pids = orAbsent(() => processIds(proc)) ?? [];
  const kallsyms = readKallsyms(proc);
  const holders = await readHolders({ proc, bpf, budget: holderBudget });
  const cgroups = readCgroups(bpf, proc, pids);
  const devices = readNet({ bpf, net, proc, pids });
  const pins = readPins(bpf, proc, pids);
  const isListing = first.view.status === 'ok' || first.view.status === 'partial';
  const objects = isListing ? readLaterObjects(reader, first) : first;
  const seen: Observations = {
    programs: objects.programs,
    maps: objects.maps,
    links: objects.links,
    held: holders.held,
    attached: [...objects.attached, ...cgroups.attached, ...devices.attached],
    pins: pins.pins,
    cgroups: cgroups.paths,
    namespaces: devices.names,
  };
  const complete = isListing ? seen : withoutCalls(seen, kallsyms.symbols);
  return {
    views: {
      bpf: withSymbols(objects.view, complete),
      fdinfo: holders.view,
      kallsyms: kallsyms.view,
      cgroup: cgroups.view,
      net: devices.view,
      bpffs: pins.view,
    },
    seen: complete,
    symbols: kallsyms.symbols,
    listed: objects.listed,
    ended: objects.ended,
    whole: objects.whole,
    diagnostics: objects.diagnostics,
  };
}

/** Without them: what bpftool says where it is installed, and what /proc says by itself. `missing`: why there are none. */
export async function lookFromOutside(missing: string, { proc, holderBudget }: Surroundings): Promise<Look> {
  const pids = orAbsent(() => processIds(proc)) ?? [];
  const kallsyms = readKallsyms(proc);
  const holders = await readHolders({ proc, budget: holderBudget });
  const tool = bpftoolLook(missing, proc, pids);
  const pins = readPins(undefined, proc, pids);
  const seen: Observations = {
    programs: tool.programs,
    maps: tool.maps,
    links: tool.links,
    held: holders.held,
    attached: tool.attached,
    pins: pins.pins,
    cgroups: new Map(),
    namespaces: new Map(),
  };
  const complete = tool.programs.length > 0 ? seen : withoutCalls(seen, kallsyms.symbols);
  return {
    views: {
      ...tool.views,
      bpf: withSymbols(tool.views.bpf, complete),
      fdinfo: holders.view,
      kallsyms: kallsyms.view,
      bpffs: { status: 'partial', reason: `pins are listed, what they hold is not known: ${missing}` },
    },
    seen: complete,
    symbols: kallsyms.symbols,
    listed: NOTHING,
    ended: new Set(),
    whole: new Set(),
    diagnostics: tool.diagnostics,
  };
}

/** What stands in for programs that nobody listed, where something does. */
function withSymbols(view: View, { programs }: Observations): View {
  if (!programs.some(({ knownFrom }) => knownFrom === 'kallsyms')) return view;
  const reasons = [...(view.reason === undefined ? [] : [view.reason]), FROM_KALLSYMS];
  return { ...view, reason: reasons.join('; ') };
}

const FROM_KALLSYMS = 'names and tags are from kallsyms; subprograms are among them';
