// The structs of bpf(2): include/uapi/linux/bpf.h of Linux 6.18. Older kernels know a beginning of each info struct
// and say how much of it; what is later than that reads as zero and must be taken for absent.
import { bytes, layout, off64, u32, u64 } from '../bytes/layout.ts';

/** union bpf_attr, by command. What a command does not name must be zero. */
export const attrs = {
  id: layout({ id: u32, next_id: u32, open_flags: u32 }),
  info: layout({ bpf_fd: u32, info_len: u32, info: u64 }),
  objectGet: layout({ pathname: u64, bpf_fd: u32, file_flags: u32 }),
  element: layout({ map_fd: u32, pad: u32, key: u64, value: u64, flags: u64 }),
  query: layout({
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    pad: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
  }),
  taskFd: layout({
    pid: u32,
    fd: u32,
    flags: u32,
    buf_len: u32,
    buf: u64,
    prog_id: u32,
    fd_type: u32,
    probe_offset: u64,
    probe_addr: u64,
  }),
} as const;

/** 40 bytes in 4.13, 80 in 4.15, 104 in 4.16, 128 in 4.18, 192 in 5.0, 208 in 5.1, 216 in 5.12, 224 in 5.16, 232 from 6.0 on. */
export const progInfo = layout({
  type: u32,
  id: u32,
  tag: bytes(8),
  jited_prog_len: u32,
  xlated_prog_len: u32,
  jited_prog_insns: u64,
  xlated_prog_insns: u64,
  load_time: off64,
  created_by_uid: u32,
  nr_map_ids: u32,
  map_ids: u64,
  name: bytes(16),
  ifindex: u32,
  /** gpl_compatible is the first bit that the compiler allots: the lowest of a little-endian machine, else the highest. */
  bits: u32,
  netns_dev: u64,
  netns_ino: u64,
  nr_jited_ksyms: u32,
  nr_jited_func_lens: u32,
  jited_ksyms: u64,
  jited_func_lens: u64,
  btf_id: u32,
  func_info_rec_size: u32,
  func_info: u64,
  nr_func_info: u32,
  nr_line_info: u32,
  line_info: u64,
  jited_line_info: u64,
  nr_jited_line_info: u32,
  line_info_rec_size: u32,
  jited_line_info_rec_size: u32,
  nr_prog_tags: u32,
  prog_tags: u64,
  run_time_ns: off64,
  run_cnt: off64,
  recursion_misses: u64,
  verified_insns: u32,
  attach_btf_obj_id: u32,
  attach_btf_id: u32,
  pad: u32,
});

/** 24 bytes in 4.13, 40 in 4.15, 64 in 4.16, 80 in 4.18, 88 from 5.16 on. A hash is asked for by 6.18's next two fields: left out. */
export const mapInfo = layout({
  type: u32,
  id: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  map_flags: u32,
  name: bytes(16),
  ifindex: u32,
  btf_vmlinux_value_type_id: u32,
  netns_dev: u64,
  netns_ino: u64,
  btf_id: u32,
  btf_key_type_id: u32,
  btf_value_type_id: u32,
  btf_vmlinux_id: u32,
  map_extra: u64,
});

/** 16 bytes in 4.18, 32 from 5.11 on. */
export const btfInfo = layout({ btf: u64, btf_size: u32, id: u32, name: u64, name_len: u32, kernel_btf: u32 });

/** What every link says; 16 bytes, then a part by type. The whole: 32 bytes in 5.8, 48 in 6.1, 56 in 6.7, 64 from 6.8 on. */
export const linkInfo = layout({ type: u32, id: u32, prog_id: u32, pad: u32 });
export const LINK_INFO_SIZE = 64;

/** The part of bpf_link_info at byte 16, by link type. Strings are a pointer and a length, which the caller fills in. */
export const linkParts = {
  raw_tracepoint: layout({ tp_name: u64, tp_name_len: u32, pad: u32, cookie: u64 }),
  tracing: layout({ attach_type: u32, target_obj_id: u32, target_btf_id: u32, pad: u32, cookie: u64 }),
  cgroup: layout({ cgroup_id: off64, attach_type: u32 }),
  iter: layout({ target_name: u64, target_name_len: u32, map_id: u32 }),
  netns: layout({ netns_ino: u32, attach_type: u32 }),
  xdp: layout({ ifindex: u32 }),
  struct_ops: layout({ map_id: u32 }),
  netfilter: layout({ pf: u32, hooknum: u32, priority: u32, flags: u32 }),
  /** Also netkit. */
  tcx: layout({ ifindex: u32, attach_type: u32 }),
  sockmap: layout({ map_id: u32, attach_type: u32 }),
  kprobe_multi: layout({ addrs: u64, count: u32, flags: u32, missed: u64, cookies: u64 }),
  uprobe_multi: layout({
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    path_size: u32,
    count: u32,
    flags: u32,
    pid: u32,
  }),
  perf_event: layout({ type: u32 }),
} as const;

/** The part of a perf_event link at byte 24, by what kind of event it is. */
export const perfParts = {
  uprobe: layout({ name: u64, name_len: u32, offset: u32, cookie: u64, ref_ctr_offset: u64 }),
  kprobe: layout({ name: u64, name_len: u32, offset: u32, addr: u64, missed: u64, cookie: u64 }),
  tracepoint: layout({ name: u64, name_len: u32, pad: u32, cookie: u64 }),
  event: layout({ config: u64, type: u32, pad: u32, cookie: u64 }),
} as const;

/** Records that a program's info points to; kernels may append to them, so each comes with its size. */
export const funcInfo = layout({ insn_off: u32, type_id: u32 });
export const lineInfo = layout({ insn_off: u32, file_name_off: u32, line_off: u32, line_col: u32 });
