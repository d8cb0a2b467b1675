// The text of /proc/PID/fdinfo/N: `key:\tvalue` lines. Knows what BPF objects write there.

export type Fdinfo = ReadonlyMap<string, string>;

export function parseFdinfo(text: string): Fdinfo {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** A decimal value; `undefined` when it is not there or not one. */
export function numberOf(fdinfo: Fdinfo, key: string): number | undefined {
  const value = fdinfo.get(key);
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

export type BpfDescriptor = 'program' | 'map' | 'link' | 'perf';

/** What a descriptor is, by what /proc/PID/fd/N names. Before 5.7 raw tracepoints had a name of their own. */
export function descriptorKind(target: string): BpfDescriptor | undefined {
  switch (target) {
    case 'anon_inode:bpf-prog':
      return 'program';
    case 'anon_inode:bpf-map':
      return 'map';
    case 'anon_inode:bpf_link':
    case 'anon_inode:bpf-link':
    case 'anon_inode:bpf-raw-tracepoint':
      return 'link';
    case 'anon_inode:[perf_event]':
      return 'perf';
    default:
      return undefined;
  }
}
