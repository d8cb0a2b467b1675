// How far the kernel could be looked at, and where two ways of looking disagree.
// Draws no conclusion: it says what was seen.
import type { Inconsistency, Scope, View, ViewName, Views } from '../host/records.ts';
import { type Paint, type Palette, plain } from './colors.ts';
import { flowWords } from './columns.ts';
import { escapeName, escapeText } from './escape.ts';
import type { Style } from './style.ts';
import { plural } from './units.ts';

const STATUS_WIDTH = 'unsupported'.length;

/** What one view shows and another denies, each with its evidence. */
export function* renderInconsistencies(
  inconsistencies: readonly Inconsistency[],
  style: Style,
  colors: Palette,
): Generator<string> {
  if (inconsistencies.length === 0) return;
  const title = `inconsistent views: ${plural(inconsistencies.length, 'object')} that not every view shows alike`;
  yield `${flowWords(title, { used: 0, indent: 2, gap: 1, width: style.width }, (text) => colors.bold(colors.red(text)))}\n`;
  for (const { object, id, tag, checks, evidence } of inconsistencies) {
    const names = [object, ...(id === undefined ? [] : [String(id)]), ...(tag === undefined ? [] : [escapeName(tag)])];
    const letters = `(${checks.length === 1 ? 'check' : 'checks'} ${checks.map(escapeName).join(', ')})`;
    yield line(2, `${names.join(' ')} ${letters}`, style, colors.yellow);
    for (const each of evidence) yield line(4, escapeText(each), style);
  }
  yield '\n';
}

/** Views that are not complete; with -v all of them, and the namespaces they were seen from. */
export function* renderViews(views: Views, scope: Scope, style: Style, colors: Palette): Generator<string> {
  const { dim, yellow } = colors;
  for (const [name, view] of Object.entries(views) as [ViewName, View][]) {
    if (view.status === 'ok' && style.verbose === 0) continue;
    const status = escapeText(view.status);
    const head = (view.status === 'ok' ? dim : yellow)(status.padEnd(STATUS_WIDTH));
    const where = { used: STATUS_WIDTH + 1, indent: STATUS_WIDTH + 2, gap: 1, width: style.width };
    yield `${head} ${flowWords(viewWords(name, view), where)}\n`;
  }
  if (style.verbose === 0) return;
  const namespaces = Object.entries(scope).map(([name, inode]) => `${name} ${inode}`);
  if (namespaces.length > 0) yield line(0, `seen from namespaces ${namespaces.join(', ')}`, style, dim);
}

/** What opens a view to those who are refused. */
const PRIVILEGES: Readonly<Record<ViewName, string>> = {
  bpf: 'CAP_SYS_ADMIN in the initial user namespace',
  fdinfo: 'CAP_SYS_PTRACE',
  kallsyms: 'CAP_SYSLOG',
  cgroup: 'CAP_NET_ADMIN',
  net: 'CAP_SYS_ADMIN and CAP_NET_ADMIN',
  bpffs: 'CAP_SYS_ADMIN',
};
const WORDS: Readonly<Record<ViewName, string>> = {
  bpf: 'bpf(2)',
  fdinfo: 'descriptors of processes',
  kallsyms: 'kallsyms',
  cgroup: 'cgroups',
  net: 'network devices',
  bpffs: 'pins',
};
const REFUSAL = /EPERM|EACCES|may not|hidden|not permitted|denied/;

function viewWords(name: ViewName, { status, reason = '' }: View): string {
  const isRefused = status === 'denied' || (status === 'partial' && REFUSAL.test(reason));
  const remedy =
    isRefused && !reason.includes('CAP_') ? `${reason === '' ? '' : '; '}this takes ${PRIVILEGES[name]}` : '';
  const said = `${escapeText(reason)}${remedy}`;
  return said === '' ? WORDS[name] : `${WORDS[name]}: ${said}`;
}

function line(indent: number, text: string, { width }: Style, paint: Paint = plain): string {
  const where = { used: 0, indent: indent + 2, gap: 1, width: width - indent };
  return `${' '.repeat(indent)}${flowWords(text, where, paint)}\n`;
}
