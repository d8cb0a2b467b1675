// Where a program runs, in words: what kind of place, which one, and what else tells it from others.
import type { Attachment, Scope } from '../host/records.ts';
import { escapeName, escapePhrase, escapeText } from './escape.ts';

/** `cgroup_inet_ingress /sys/fs/cgroup/system.slice (multi)`, `kprobe do_exit (link 7)`. */
export function attachmentWords(attachment: Attachment, scope: Scope): string {
  const { target } = attachment;
  const details = detailsOf(attachment, scope);
  return `${kindWords(attachment)} ${targetWords(target)}${details.length > 0 ? ` (${details.join(', ')})` : ''}`;
}

/** The attach type where it says what the kind does and more: `tcx_ingress`, but `fentry` rather than `trace_fentry`. */
function kindWords({ kind, attachType }: Attachment): string {
  const type = String(attachType ?? '');
  return escapeName(type.startsWith(kind) ? type : kind);
}

function detailsOf(attachment: Attachment, scope: Scope): string[] {
  const { kind, attachType, mode, sharing, ifindex, netns, mapId, key, pid, cookie, linkId, target } = attachment;
  const details: string[] = [];
  if (attachType !== undefined && !String(attachType).includes(kind)) details.push(escapeName(String(attachType)));
  if (mode !== undefined) details.push(escapeName(mode));
  if (sharing !== undefined) details.push(escapeName(sharing));
  if (ifindex !== undefined && target !== `interface ${ifindex}`) details.push(`interface ${ifindex}`);
  if (netns !== undefined && netns !== scope.net && target !== `net:[${netns}]`) details.push(`netns ${netns}`);
  if (mapId !== undefined && target !== `map ${mapId}`) details.push(`map ${mapId}`);
  if (key !== undefined) details.push(`key ${key}`);
  if (pid !== undefined) details.push(`pid ${pid}`);
  if (cookie !== undefined) details.push(`cookie ${escapeText(cookie)}`);
  if (linkId !== undefined) details.push(`link ${linkId}`);
  return details;
}

/** No target can pass for one with details behind it. */
function targetWords(target: string): string {
  return target.includes('(') ? escapeName(target) : escapePhrase(target);
}
