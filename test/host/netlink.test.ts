// rtnetlink in both byte orders, out of messages written by hand, and out of garbage.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Netlink, NetlinkError } from '../../src/host/netlink.ts';
import type { Net } from '../../src/host/syscall.ts';
import { hexToBytes, Struct } from './fake-kernel.ts';

const RTM_NEWLINK = 16;
const RTM_NEWTFILTER = 44;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

/** Answers the first request with these datagrams. */
function answering(datagrams: readonly Uint8Array[]): Net & { readonly sent: Uint8Array[] } {
  const left = [...datagrams];
  const sent: Uint8Array[] = [];
  return {
    sent,
    setns: () => 0,
    socket: () => 5,
    send: (_, message) => sent.push(message.slice()) && message.length,
    recv: (_, buffer) => {
      const datagram = left.shift() ?? new Uint8Array(0);
      buffer.set(datagram);
      return datagram.length;
    },
    close: () => {},
  };
}

describe.each([
  { order: 'little', little: true },
  { order: 'big', little: false },
])('$order endian', ({ little }) => {
  const attribute = (type: number, content: Uint8Array) => {
    const header = new Uint8Array(4);
    new DataView(header.buffer).setUint16(0, 4 + content.length, little);
    new DataView(header.buffer).setUint16(2, type, little);
    return join(header, content, new Uint8Array(-content.length & 3));
  };
  const word = (value: number) => new Struct(4, little).u32(0, value).bytes;
  const text = (value: string) => new TextEncoder().encode(`${value}\0`);
  const message = (type: number, body: Uint8Array) => {
    const header = new Struct(16, little).u32(0, 16 + body.length, 0, 1);
    new DataView(header.bytes.buffer).setUint16(4, type, little);
    return join(header.bytes, body);
  };
  const done = message(NLMSG_DONE, word(0));

  test('interfaces with xdp', () => {
    const xdp = join(attribute(2, Uint8Array.of(2)), attribute(4, word(552)), attribute(6, word(552)));
    const body = join(
      new Struct(16, little).u32(4, 3).bytes,
      attribute(3, text('v0')),
      attribute(18, attribute(1, text('veth'))),
      attribute(43, xdp),
    );
    const net = answering([message(RTM_NEWLINK, body), done]);
    expect(new Netlink(net, little).interfaces()).toEqual([
      { ifindex: 3, name: 'v0', kind: 'veth', xdp: [{ programId: 552, mode: 'generic' }] },
    ]);
    const request = new DataView(net.sent[0]?.buffer ?? new ArrayBuffer(8));
    expect([request.getUint16(4, little), request.getUint16(6, little)]).toEqual([18, 0x301]);
  });

  test('filters with a tag; the head of the chain is no second one', () => {
    const options = join(
      attribute(7, text('x')),
      attribute(10, hexToBytes('728b54ba4a67dede')),
      attribute(11, word(7)),
    );
    const head = join(new Uint8Array(20), attribute(1, text('bpf')));
    const filter = message(RTM_NEWTFILTER, join(head, attribute(2, options)));
    const net = answering([join(message(RTM_NEWTFILTER, head), filter), done]);
    expect(new Netlink(net, little).filters(3, 0xffff_fff2)).toEqual([
      { programId: 7, name: 'x', tag: '728b54ba4a67dede' },
    ]);
  });

  test('a refusal is thrown with its errno', () => {
    const refusal = new Uint8Array(20);
    new DataView(refusal.buffer).setInt32(0, -19, little);
    const netlink = new Netlink(answering([message(NLMSG_ERROR, refusal)]), little);
    expect(() => netlink.qdiscs()).toThrow(expect.objectContaining({ errno: 19 }));
  });

  test('any datagram is an answer or a NetlinkError', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.uint8Array({ maxLength: 60 }).map((body) => message(RTM_NEWLINK, body)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
        try {
          new Netlink(answering(pieces), little).interfaces();
        } catch (error) {
          expect(error).toBeInstanceOf(NetlinkError);
        }
      }),
    );
  });
});

test('a kernel that gives no socket', () => {
  expect(() => new Netlink({ ...answering([]), socket: () => -1 }, true)).toThrow(NetlinkError);
});

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
