// rtnetlink: dumps of interfaces, queueing disciplines and filters, as far as programs are in them.
// Messages are in the byte order of the machine, attributes padded to four bytes: netlink(7), rtnetlink(7).
import { bytes, layout, s32, u8, u16, u32, viewOf } from '../bytes/layout.ts';
import { untilNul } from './bpf.ts';
import { hexBytes } from './program-arrays.ts';
import { allocate, ERRNO, type Net } from './syscall.ts';

export interface Interface {
  readonly ifindex: number;
  readonly name: string;
  /** IFLA_INFO_KIND: `veth`, `netkit`. */
  readonly kind?: string;
  readonly xdp: readonly { readonly programId: number; readonly mode: 'native' | 'generic' | 'offload' }[];
}
export interface Qdisc {
  readonly ifindex: number;
  readonly kind: string;
  readonly handle: number;
}
export interface BpfFilter {
  readonly programId: number;
  readonly name: string;
  readonly tag?: string;
}

const NETLINK = { AF: 16, SOCK_RAW: 3, ROUTE: 0 } as const;
const RTM = { NEWLINK: 16, GETLINK: 18, NEWQDISC: 36, GETQDISC: 38, NEWTFILTER: 44, GETTFILTER: 46 } as const;
const NLM_F = { REQUEST: 1, DUMP: 0x300 } as const;
const NLMSG = { ERROR: 2, DONE: 3 } as const;
const IFLA = { IFNAME: 3, LINKINFO: 18, XDP: 43 } as const;
const IFLA_INFO_KIND = 1;
const IFLA_XDP = { ATTACHED: 2, PROG_ID: 4, DRV_PROG_ID: 5, SKB_PROG_ID: 6, HW_PROG_ID: 7 } as const;
const TCA = { KIND: 1, OPTIONS: 2 } as const;
const TCA_BPF = { NAME: 7, TAG: 10, ID: 11 } as const;

const nlmsghdr = layout({ nlmsg_len: u32, nlmsg_type: u16, nlmsg_flags: u16, nlmsg_seq: u32, nlmsg_pid: u32 });
const ifinfomsg = layout({ ifi_family: u8, pad: u8, ifi_type: u16, ifi_index: s32, ifi_flags: u32, ifi_change: u32 });
const tcmsg = layout({
  tcm_family: u8,
  pad: bytes(3),
  tcm_ifindex: s32,
  tcm_handle: u32,
  tcm_parent: u32,
  tcm_info: u32,
});
const rtattr = layout({ rta_len: u16, rta_type: u16 });

/** A dump comes in pieces of at most 32 KiB (netlink_dump), whatever the reader offers. */
const RECEIVE = 64 * 1024;
const NLA_TYPE_MASK = 0x3fff;

/** Refused by the kernel: the errno is what it said. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/** A socket in the network namespace that the thread is in when it is made. */
export class Netlink {
  readonly #net: Net;
  readonly #little: boolean;
  readonly #socket: number;
  readonly #buffer = allocate(RECEIVE);
  #sequence = 0;

  /** @throws NetlinkError */
  constructor(net: Net, little: boolean) {
    this.#net = net;
    this.#little = little;
    this.#socket = check(net.socket(NETLINK.AF, NETLINK.SOCK_RAW | SOCK_CLOEXEC, NETLINK.ROUTE));
  }

  close(): void {
    this.#net.close(this.#socket);
  }

  /** @throws NetlinkError */
  interfaces(): Interface[] {
    return this.#dump(RTM.GETLINK, allocate(ifinfomsg.size), RTM.NEWLINK).map((body) => {
      const { ifi_index } = ifinfomsg.read(viewOf(body), 0, this.#little);
      const attributes = this.#attributes(body.subarray(ifinfomsg.size));
      const kind = this.#nested(attributes, IFLA.LINKINFO).get(IFLA_INFO_KIND);
      return {
        ifindex: ifi_index,
        name: untilNul(attributes.get(IFLA.IFNAME) ?? NONE),
        ...(kind && { kind: untilNul(kind) }),
        xdp: this.#xdp(this.#nested(attributes, IFLA.XDP)),
      };
    });
  }

  /** @throws NetlinkError */
  qdiscs(): Qdisc[] {
    return this.#dump(RTM.GETQDISC, allocate(tcmsg.size), RTM.NEWQDISC).map((body) => {
      const { tcm_ifindex, tcm_handle } = tcmsg.read(viewOf(body), 0, this.#little);
      const kind = untilNul(this.#attributes(body.subarray(tcmsg.size)).get(TCA.KIND) ?? NONE);
      return { ifindex: tcm_ifindex, kind, handle: tcm_handle };
    });
  }

  /**
   * The BPF filters below one parent of an interface.
   * @throws NetlinkError
   */
  filters(ifindex: number, parent: number): BpfFilter[] {
    const request = allocate(tcmsg.size);
    viewOf(request).setInt32(tcmsg.offsets.tcm_ifindex, ifindex, this.#little);
    viewOf(request).setUint32(tcmsg.offsets.tcm_parent, parent, this.#little);
    return this.#dump(RTM.GETTFILTER, request, RTM.NEWTFILTER).flatMap((body) => {
      const attributes = this.#attributes(body.subarray(tcmsg.size));
      if (untilNul(attributes.get(TCA.KIND) ?? NONE) !== 'bpf') return [];
      const options = this.#nested(attributes, TCA.OPTIONS);
      const programId = this.#number(options.get(TCA_BPF.ID));
      const tag = options.get(TCA_BPF.TAG);
      // Each filter comes a second time as the head of its chain, without options; classic filters have no id.
      if (programId === 0) return [];
      return [{ programId, name: untilNul(options.get(TCA_BPF.NAME) ?? NONE), ...(tag && { tag: hexBytes(tag) }) }];
    });
  }

  /** IFLA_XDP_ATTACHED: 1 in the driver, 2 in the stack, 3 on the device, 4 in several at once. */
  #xdp(attributes: ReadonlyMap<number, Uint8Array>): Interface['xdp'] {
    const attached = attributes.get(IFLA_XDP.ATTACHED)?.[0] ?? 0;
    const one = this.#number(attributes.get(IFLA_XDP.PROG_ID));
    const several = [
      { mode: 'native', programId: this.#number(attributes.get(IFLA_XDP.DRV_PROG_ID)) || (attached === 1 ? one : 0) },
      { mode: 'generic', programId: this.#number(attributes.get(IFLA_XDP.SKB_PROG_ID)) || (attached === 2 ? one : 0) },
      { mode: 'offload', programId: this.#number(attributes.get(IFLA_XDP.HW_PROG_ID)) || (attached === 3 ? one : 0) },
    ] as const;
    return several.filter(({ programId }) => programId > 0);
  }

  #dump(type: number, request: Uint8Array, answers: number): Uint8Array[] {
    const sequence = ++this.#sequence;
    check(this.#net.send(this.#socket, this.#message(type, request, sequence)));
    const bodies: Uint8Array[] = [];
    for (;;) {
      const length = check(this.#net.recv(this.#socket, this.#buffer));
      if (length === 0) return bodies;
      for (const { header, body } of this.#messages(this.#buffer.subarray(0, length))) {
        if (header.nlmsg_seq !== sequence) continue;
        if (header.nlmsg_type === NLMSG.DONE) return bodies;
        if (header.nlmsg_type === NLMSG.ERROR) {
          const errno = body.length >= 4 ? -viewOf(body).getInt32(0, this.#little) : ERRNO.EPROTO;
          if (errno === 0) return bodies;
          throw new NetlinkError(errno);
        }
        // An answer begins with the same struct as its request.
        if (header.nlmsg_type === answers && body.length >= request.length) bodies.push(body.slice());
      }
    }
  }

  #message(type: number, request: Uint8Array, sequence: number): Uint8Array {
    const message = allocate(nlmsghdr.size + request.length);
    const view = viewOf(message);
    const { offsets } = nlmsghdr;
    view.setUint32(offsets.nlmsg_len, message.length, this.#little);
    view.setUint16(offsets.nlmsg_type, type, this.#little);
    view.setUint16(offsets.nlmsg_flags, NLM_F.REQUEST | NLM_F.DUMP, this.#little);
    view.setUint32(offsets.nlmsg_seq, sequence, this.#little);
    message.set(request, nlmsghdr.size);
    return message;
  }

  *#messages(datagram: Uint8Array) {
    const view = viewOf(datagram);
    for (let at = 0; at + nlmsghdr.size <= datagram.length; ) {
      const header = nlmsghdr.read(view, at, this.#little);
      if (header.nlmsg_len < nlmsghdr.size || at + header.nlmsg_len > datagram.length) return;
      yield { header, body: datagram.subarray(at + nlmsghdr.size, at + header.nlmsg_len) };
      at += padded(header.nlmsg_len);
    }
  }

  #attributes(region: Uint8Array): Map<number, Uint8Array> {
    const found = new Map<number, Uint8Array>();
    const view = viewOf(region);
    for (let at = 0; at + rtattr.size <= region.length; ) {
      const { rta_len, rta_type } = rtattr.read(view, at, this.#little);
      if (rta_len < rtattr.size || at + rta_len > region.length) break;
      found.set(rta_type & NLA_TYPE_MASK, region.subarray(at + rtattr.size, at + rta_len));
      at += padded(rta_len);
    }
    return found;
  }

  #nested(attributes: ReadonlyMap<number, Uint8Array>, type: number): Map<number, Uint8Array> {
    return this.#attributes(attributes.get(type) ?? NONE);
  }

  #number(value: Uint8Array | undefined): number {
    return value === undefined || value.length < 4 ? 0 : viewOf(value).getUint32(0, this.#little);
  }
}

const SOCK_CLOEXEC = 0o2000000;
const NONE = new Uint8Array(0);

function padded(length: number): number {
  return (length + 3) & ~3;
}

function check(result: number): number {
  if (result < 0) throw new NetlinkError(-result);
  return result;
}
