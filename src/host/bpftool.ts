// The fallback where bpf(2) cannot be called from here: bpftool, when it is installed. To tell who holds what, bpftool
// loads an iterator program of its own for a moment, so this way of looking is not without a trace.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import type { Diagnostic } from '../diagnostics.ts';
import { cgroupPlaces, linkOf, mapOf, netPlaces, programOf } from './bpftool-json.ts';
import { isObject, objects, parseJson, text } from './json.ts';
import type { AttachedProgram } from './map-contents.ts';
import { findMounts } from './mounts.ts';
import { findNetworkNamespaces } from './namespaces.ts';
import { orAbsent } from './processes.ts';
import type { LiveLink, LiveMap, LiveProgram, View, Views } from './records.ts';

export interface BpftoolLook {
  readonly views: Pick<Views, 'bpf' | 'cgroup' | 'net'>;
  readonly programs: readonly LiveProgram[];
  readonly maps: readonly LiveMap[];
  readonly links: readonly LiveLink[];
  readonly attached: readonly AttachedProgram[];
  readonly diagnostics: readonly Diagnostic[];
}

/** `missing`: why bpf(2) cannot be called. */
export function bpftoolLook(missing: string, proc: string, pids: readonly number[]): BpftoolLook {
  const path = findBpftool();
  if (path === undefined) {
    const view: View = { status: 'unsupported', reason: `${missing}; bpftool is not installed` };
    return {
      views: { bpf: view, cgroup: view, net: view },
      programs: [],
      maps: [],
      links: [],
      attached: [],
      diagnostics: [],
    };
  }
  const ask = (...args: string[]) => run(path, ['-j', ...args]);
  const programs = ask('-f', 'prog', 'show');
  const maps = ask('-f', 'map', 'show');
  const links = ask('-f', 'link', 'show');
  const cgroups = findMounts(proc, 'cgroup2', pids).points.map((mount) => ask('cgroup', 'tree', mount.path));
  const nets = findNetworkNamespaces(proc, pids).namespaces.map((namespace) => ({
    inode: namespace.inode,
    answer: namespace.own ? ask('net', 'show') : run('nsenter', [`--net=${namespace.path}`, path, '-j', 'net', 'show']),
  }));
  const used = `read by bpftool: ${missing}`;
  return {
    views: {
      bpf: viewOf([programs, maps, links], used),
      cgroup: viewOf(cgroups, used),
      net: viewOf(
        nets.map(({ answer }) => answer),
        used,
      ),
    },
    programs: objects(programs.json).flatMap((json) => programOf(json, 'bpftool') ?? []),
    maps: objects(maps.json).flatMap((json) => mapOf(json, 'bpftool') ?? []),
    links: objects(links.json).flatMap((json) => linkOf(json, 'bpftool') ?? []),
    attached: [
      ...cgroups.flatMap(({ json }) => cgroupPlaces(json)),
      ...nets.flatMap(({ inode, answer }) => netPlaces(answer.json, inode)),
    ],
    diagnostics: [
      {
        severity: 'info',
        code: 'bpftool-used',
        where: path,
        message: `${missing}: bpftool is asked instead, which loads an iterator program of its own for a moment`,
      },
    ],
  };
}

interface Answer {
  readonly json: unknown;
  readonly error?: string;
}

const PLACES = ['/usr/sbin', '/usr/bin', '/sbin', '/usr/local/sbin', '/usr/local/bin', '/bin'] as const;
/** Ubuntu keeps one of each kernel here, and a script in the PATH that may not find it. */
const TOOLS = '/usr/lib/linux-tools';
const MAX_OUTPUT = 256 << 20;
/** Milliseconds. */
const PATIENCE = 30_000;

function findBpftool(): string | undefined {
  const onPath = (process.env.PATH ?? '').split(':').filter((directory) => directory.startsWith('/'));
  const tools = (orAbsent(() => readdirSync(TOOLS)) ?? []).map((release) => `${TOOLS}/${release}`);
  return [...onPath, ...PLACES, ...tools]
    .map((directory) => `${directory}/bpftool`)
    .find((path) => orAbsent(() => accessSync(path, constants.X_OK) ?? true));
}

function run(command: string, args: readonly string[]): Answer {
  const { stdout, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: MAX_OUTPUT, timeout: PATIENCE });
  if (error) return { json: undefined, error: error.message };
  try {
    const json = parseJson(stdout);
    const refusal = isObject(json) ? text(json.error) : undefined;
    return refusal === undefined ? { json } : { json: undefined, error: refusal };
  } catch (failure) {
    if (!(failure instanceof SyntaxError)) throw failure;
    return { json: undefined, error: `bpftool ${args.slice(1).join(' ')} printed no JSON` };
  }
}

/** bpftool answers for less than bpf(2) does: partial at best. */
function viewOf(answers: readonly Answer[], used: string): View {
  const errors = answers.flatMap(({ error }) => error ?? []);
  const [first] = errors;
  if (first === undefined || errors.length < answers.length) {
    return { status: 'partial', reason: first === undefined ? used : `${used}; ${first}` };
  }
  return { status: /not permitted|denied/i.test(first) ? 'denied' : 'unsupported', reason: `${used}; ${first}` };
}
