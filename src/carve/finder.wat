;; Finds ELF headers of BPF objects, and anchors of code without one, 32 bytes a turn; judges each from the bytes at hand.
;; One pass looks for the magic and e_machine together, so that a host full of ELF magic costs nothing.
;; Built into finder.wasm.ts by finder.build.js.
;;
;; Verdicts (search.ts gives them names): 0 candidate, 1 class, 2 data, 3 version, 4 no section table,
;; 5 section table beyond the ceiling, 6 name section out of range, 7 name section of another type.
;; Anchors (anchors.ts) come in the same list: 17 BTF and 19 the loader of a light skeleton from $find,
;; 16 EXIT and 18 classic RET from $findCode.
(module
  (memory (export "memory") 6)
  ;; Words that both sides write, for JavaScript reads memory much faster than globals, behind the input and its margin:
  ;; 0x5f000 where to go on after the list was full;
  ;; 0x5f00c headers that may still be listed with a verdict against them;
  ;; 0x5f010 how many were not, a word for each verdict;
  ;; 0x5f080 for BTF and loaders, 0x5f090 for EXIT, 0x5f0a0 for RET: anchors that may still be listed though another one lies
  ;; closer before them than 256 bytes, how many were not, and the address of the last one listed.
  ;; Bytes to compare with, for constants of $find would be made anew in every turn:
  (data (i32.const 0x5f100) "\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f\7f")
  (data (i32.const 0x5f110) "\45\45\45\45\45\45\45\45\45\45\45\45\45\45\45\45")
  (data (i32.const 0x5f120) "\df\df\df\df\df\df\df\df\df\df\df\df\df\df\df\df")
  (data (i32.const 0x5f130) "\9f\9f\9f\9f\9f\9f\9f\9f\9f\9f\9f\9f\9f\9f\9f\9f")
  (data (i32.const 0x5f140) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 0x5f150) "\95\95\95\95\95\95\95\95\95\95\95\95\95\95\95\95")
  (data (i32.const 0x5f160) "\06\06\06\06\06\06\06\06\06\06\06\06\06\06\06\06")

  (func $swap16 (param $v i32) (result i32)
    (i32.or (i32.shl (i32.and (local.get $v) (i32.const 0xff)) (i32.const 8)) (i32.shr_u (local.get $v) (i32.const 8))))

  (func $swap32 (param $v i32) (result i32)
    (i32.or
      (i32.rotl (i32.and (local.get $v) (i32.const 0x00ff00ff)) (i32.const 24))
      (i32.rotl (i32.and (local.get $v) (i32.const 0xff00ff00)) (i32.const 8))))

  (func $swap64 (param $v i64) (result i64)
    (local $x v128)
    (local.set $x (i64x2.splat (local.get $v)))
    (i64x2.extract_lane 0
      (i8x16.shuffle 7 6 5 4 3 2 1 0 15 14 13 12 11 10 9 8 (local.get $x) (local.get $x))))

  ;; The verdict on the header at $at (64 bytes are there), or -1 when it is not about BPF at all.
  (func $judge (param $at i32) (param $end i32) (param $ceiling i64) (result i32)
    (local $machine i32) (local $data i32) (local $big i32) (local $none i32)
    (local $shoff i64) (local $shnum i32) (local $shstrndx i32) (local $row i64)
    (local.set $machine (i32.load16_u offset=18 (local.get $at)))
    (local.set $data (i32.load8_u offset=5 (local.get $at)))
    (local.set $big (i32.eq (local.get $data) (i32.const 2)))
    ;; EM_NONE reads the same in both orders; EM_BPF must stand in the order that EI_DATA announces,
    ;; and in either one when EI_DATA announces none.
    (local.set $none (i32.eqz (local.get $machine)))
    (if (i32.eqz (local.get $none))
      (then
        (if (i32.eqz (i32.or
              (i32.and (i32.eq (local.get $machine) (i32.const 0x00f7)) (i32.eqz (local.get $big)))
              (i32.and (i32.eq (local.get $machine) (i32.const 0xf700)) (i32.ne (local.get $data) (i32.const 1)))))
          (then (return (i32.const -1))))))
    (if (i32.ne (i32.load8_u offset=4 (local.get $at)) (i32.const 2))
      (then (return (select (i32.const -1) (i32.const 1) (local.get $none)))))
    (if (i32.gt_u (i32.sub (local.get $data) (i32.const 1)) (i32.const 1))
      (then (return (select (i32.const -1) (i32.const 2) (local.get $none)))))
    (if (i32.ne (i32.load8_u offset=6 (local.get $at)) (i32.const 1))
      (then (return (select (i32.const -1) (i32.const 3) (local.get $none)))))
    (if (local.get $none)
      (then (if (i32.ne (select (call $swap16 (i32.load16_u offset=16 (local.get $at))) (i32.load16_u offset=16 (local.get $at)) (local.get $big)) (i32.const 1))
        (then (return (i32.const -1))))))
    (local.set $shoff (i64.load offset=40 (local.get $at)))
    (local.set $shnum (i32.load16_u offset=60 (local.get $at)))
    (local.set $shstrndx (i32.load16_u offset=62 (local.get $at)))
    (if (local.get $big)
      (then
        (local.set $shoff (call $swap64 (local.get $shoff)))
        (local.set $shnum (call $swap16 (local.get $shnum)))
        (local.set $shstrndx (call $swap16 (local.get $shstrndx)))))
    (if (i64.eqz (local.get $shoff))
      (then (return (select (i32.const -1) (i32.const 4) (local.get $none)))))
    ;; Compared before the sum is made: e_shoff may be anything up to 2^64.
    (if (i64.gt_u (local.get $shoff) (local.get $ceiling))
      (then (return (select (i32.const -1) (i32.const 5) (local.get $none)))))
    (if (i64.gt_u (i64.add (local.get $shoff) (i64.extend_i32_u (i32.shl (local.get $shnum) (i32.const 6)))) (local.get $ceiling))
      (then (return (select (i32.const -1) (i32.const 5) (local.get $none)))))
    ;; Extended numbering needs section 0: left to the full measurement.
    (if (i32.or (i32.eqz (local.get $shnum)) (i32.eq (local.get $shstrndx) (i32.const 0xffff)))
      (then (return (i32.const 0))))
    (if (i32.ge_u (local.get $shstrndx) (local.get $shnum))
      (then (return (select (i32.const -1) (i32.const 6) (local.get $none)))))
    (local.set $row (i64.add
      (i64.add (i64.extend_i32_u (local.get $at)) (local.get $shoff))
      (i64.extend_i32_u (i32.shl (local.get $shstrndx) (i32.const 6)))))
    (if (i64.le_u (i64.add (local.get $row) (i64.const 64)) (i64.extend_i32_u (local.get $end)))
      (then (if (i32.ne (i32.load offset=4 (i32.wrap_i64 (local.get $row))) (select (i32.const 0x03000000) (i32.const 3) (local.get $big)))
        (then (return (select (i32.const -1) (i32.const 7) (local.get $none)))))))
    (i32.const 0))

  ;; Where in the 16 bytes at $at a magic begins whose e_machine may be that of BPF, or none: one bit each.
  ;; Vectors again, so that bytes full of magic cost no loop over them.
  (func $magics (param $at i32) (result i32)
    (local $low v128) (local $high v128) (local $zero v128) (local $bpf v128)
    (local.set $low (v128.load offset=18 (local.get $at)))
    (local.set $high (v128.load offset=19 (local.get $at)))
    (local.set $bpf (i8x16.splat (i32.const 0xf7)))
    (i8x16.bitmask
      (v128.and
        (v128.and
          (v128.and
            (i8x16.eq (v128.load (local.get $at)) (i8x16.splat (i32.const 0x7f)))
            (i8x16.eq (v128.load offset=1 (local.get $at)) (i8x16.splat (i32.const 0x45))))
          (v128.and
            (i8x16.eq (v128.load offset=2 (local.get $at)) (i8x16.splat (i32.const 0x4c)))
            (i8x16.eq (v128.load offset=3 (local.get $at)) (i8x16.splat (i32.const 0x46)))))
        (v128.and
          (v128.or (i8x16.eq (local.get $low) (local.get $zero)) (i8x16.eq (local.get $low) (local.get $bpf)))
          (v128.or (i8x16.eq (local.get $high) (local.get $zero)) (i8x16.eq (local.get $high) (local.get $bpf)))))))

  ;; Where in the 16 bytes at $at the byte 9f of a BTF header may be, 9f eb 01 00 or eb 9f 01 00, or the loader of a light
  ;; skeleton may begin, r6 = r1; r1 = r10, in either byte order: one bit each.
  (func $rarities (param $at i32) (result i32)
    (local $x v128) (local $y v128) (local $z v128) (local $zero v128) (local $one v128)
    (local.set $x (v128.load (local.get $at)))
    (local.set $y (v128.load offset=1 (local.get $at)))
    (local.set $z (v128.load offset=2 (local.get $at)))
    (local.set $one (i8x16.splat (i32.const 1)))
    (i8x16.bitmask
      (v128.or
        (v128.and
          (i8x16.eq (local.get $x) (i8x16.splat (i32.const 0x9f)))
          (v128.or
            (v128.and
              (i8x16.eq (local.get $y) (i8x16.splat (i32.const 0xeb)))
              (i8x16.eq (local.get $z) (local.get $one)))
            (v128.and
              (i8x16.eq (v128.load (i32.sub (local.get $at) (i32.const 1))) (i8x16.splat (i32.const 0xeb)))
              (v128.and
                (i8x16.eq (local.get $y) (local.get $one))
                (i8x16.eq (local.get $z) (local.get $zero))))))
        (v128.and
          (v128.and
            (i8x16.eq (local.get $x) (i8x16.splat (i32.const 0xbf)))
            (i8x16.eq (v128.load offset=8 (local.get $at)) (i8x16.splat (i32.const 0xbf))))
          (v128.or
            (v128.and
              (i8x16.eq (local.get $y) (i8x16.splat (i32.const 0x16)))
              (i8x16.eq (v128.load offset=9 (local.get $at)) (i8x16.splat (i32.const 0xa1))))
            (v128.and
              (i8x16.eq (local.get $y) (i8x16.splat (i32.const 0x61)))
              (i8x16.eq (v128.load offset=9 (local.get $at)) (i8x16.splat (i32.const 0x1a)))))))))

  ;; Whether both instructions are those of a loader, in one byte order, and the rest of them is zero.
  (func $isLoader (param $at i32) (result i32)
    (local $first i64) (local $second i64)
    (local.set $first (i64.load (local.get $at)))
    (local.set $second (i64.load offset=8 (local.get $at)))
    (i32.or
      (i32.and (i64.eq (local.get $first) (i64.const 0x16bf)) (i64.eq (local.get $second) (i64.const 0xa1bf)))
      (i32.and (i64.eq (local.get $first) (i64.const 0x61bf)) (i64.eq (local.get $second) (i64.const 0x1abf)))))

  (func $load32 (param $at i32) (param $big i32) (result i32)
    (select (call $swap32 (i32.load (local.get $at))) (i32.load (local.get $at)) (local.get $big)))

  ;; A header of BTF: the types follow it and the strings follow them.
  (func $isBtf (param $at i32) (result i32)
    (local $big i32)
    (local.set $big (i32.eq (i32.load8_u (local.get $at)) (i32.const 0xeb)))
    (i32.and
      (i32.and
        ;; 24 to 64 bytes.
        (i32.le_u (i32.sub (call $load32 (i32.add (local.get $at) (i32.const 4)) (local.get $big)) (i32.const 24)) (i32.const 40))
        (i32.eqz (i32.load offset=8 (local.get $at))))
      (i32.and
        (i32.eq (i32.load offset=12 (local.get $at)) (i32.load offset=16 (local.get $at)))
        (i32.ne (i32.load offset=20 (local.get $at)) (i32.const 0)))))

  ;; Whether the anchor at $at may be listed, by the words of its kind at $crowd. One with room before it always may: a flood
  ;; crowds out only itself.
  (func $admit (param $at i32) (param $crowd i32) (result i32)
    (local $room i32)
    (if (i32.le_u (i32.sub (local.get $at) (i32.load offset=8 (local.get $crowd))) (i32.const 256))
      (then
        (local.set $room (i32.load (local.get $crowd)))
        (if (i32.eqz (local.get $room))
          (then
            (i32.store offset=4 (local.get $crowd) (i32.add (i32.load offset=4 (local.get $crowd)) (i32.const 1)))
            (return (i32.const 0))))
        (i32.store (local.get $crowd) (i32.sub (local.get $room) (i32.const 1)))))
    (i32.store offset=8 (local.get $crowd) (local.get $at))
    (i32.const 1))

  ;; Whether one more header with a verdict against it may be listed; else it is counted here, which is faster.
  (func $admitRejected (param $verdict i32) (result i32)
    (local $room i32) (local $counter i32)
    (local.set $room (i32.load (i32.const 0x5f00c)))
    (if (local.get $room)
      (then (i32.store (i32.const 0x5f00c) (i32.sub (local.get $room) (i32.const 1))) (return (i32.const 1))))
    (local.set $counter (i32.shl (local.get $verdict) (i32.const 2)))
    (i32.store offset=0x5f010 (local.get $counter) (i32.add (i32.load offset=0x5f010 (local.get $counter)) (i32.const 1)))
    (i32.const 0))

  ;; Lists (address, verdict) pairs of u32 at $out for every header, BTF and loader that begins in [$from, $limit).
  ;; Bytes up to $end are the source's; eight bytes before $from and 96 after $end must be readable, whatever they are: nothing
  ;; at or past $limit is judged. Returns the number of pairs and leaves behind the address to go on from: $limit unless
  ;; $capacity pairs were written.
  (func (export "find") (param $from i32) (param $limit i32) (param $end i32) (param $ceiling i64) (param $out i32) (param $capacity i32) (result i32)
    (local $at i32) (local $count i32) (local $mask i32) (local $hit i32) (local $first i32) (local $verdict i32)
    (local $x v128) (local $y v128) (local $elf v128) (local $rare v128)
    (local $7f v128) (local $45 v128) (local $df v128) (local $9f v128) (local $zero v128)
    (local.set $7f (v128.load (i32.const 0x5f100)))
    (local.set $45 (v128.load (i32.const 0x5f110)))
    (local.set $df (v128.load (i32.const 0x5f120)))
    (local.set $9f (v128.load (i32.const 0x5f130)))
    (local.set $zero (v128.load (i32.const 0x5f140)))
    (local.set $at (local.get $from))
    (block $done
      (loop $turn
        ;; At the limit too: the byte 9f may be the second one of a header.
        (br_if $done (i32.gt_u (local.get $at) (local.get $limit)))
        (local.set $x (v128.load (local.get $at)))
        (local.set $y (v128.load offset=16 (local.get $at)))
        ;; 7f 45.
        (local.set $elf (v128.or
          (v128.and
            (i8x16.eq (local.get $x) (local.get $7f))
            (i8x16.eq (v128.load offset=1 (local.get $at)) (local.get $45)))
          (v128.and
            (i8x16.eq (local.get $y) (local.get $7f))
            (i8x16.eq (v128.load offset=17 (local.get $at)) (local.get $45)))))
        ;; 9f of BTF or bf of a loader, a bit apart, and a zero five bytes on: there both have one, whichever their byte order.
        (local.set $rare (v128.or
          (v128.and
            (i8x16.eq (v128.and (local.get $x) (local.get $df)) (local.get $9f))
            (i8x16.eq (v128.load offset=5 (local.get $at)) (local.get $zero)))
          (v128.and
            (i8x16.eq (v128.and (local.get $y) (local.get $df)) (local.get $9f))
            (i8x16.eq (v128.load offset=21 (local.get $at)) (local.get $zero)))))
        (if (v128.any_true (v128.or (local.get $elf) (local.get $rare)))
          (then
            (local.set $mask (i32.const 0))
            (if (v128.any_true (local.get $elf))
              (then
                (local.set $mask (i32.or
                  (call $magics (local.get $at))
                  (i32.shl (call $magics (i32.add (local.get $at) (i32.const 16))) (i32.const 16))))))
            (if (v128.any_true (local.get $rare))
              (then
                (local.set $mask (i32.or (local.get $mask) (i32.or
                  (call $rarities (local.get $at))
                  (i32.shl (call $rarities (i32.add (local.get $at) (i32.const 16))) (i32.const 16)))))))
            (block $judged
              (loop $bits
                (br_if $judged (i32.eqz (local.get $mask)))
                (local.set $hit (i32.add (local.get $at) (i32.ctz (local.get $mask))))
                (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
                (local.set $first (i32.load8_u (local.get $hit)))
                ;; 9f not before eb is behind it.
                (if (i32.and
                      (i32.eq (local.get $first) (i32.const 0x9f))
                      (i32.ne (i32.load8_u offset=1 (local.get $hit)) (i32.const 0xeb)))
                  (then
                    (local.set $hit (i32.sub (local.get $hit) (i32.const 1)))
                    (br_if $bits (i32.lt_u (local.get $hit) (local.get $from)))))
                (br_if $done (i32.ge_u (local.get $hit) (local.get $limit)))
                (if (i32.eq (local.get $count) (local.get $capacity))
                  (then (i32.store (i32.const 0x5f000) (local.get $hit)) (return (local.get $count))))
                (if (i32.eq (local.get $first) (i32.const 0x7f))
                  (then
                    (local.set $verdict (call $judge (local.get $hit) (local.get $end) (local.get $ceiling)))
                    (br_if $bits (i32.lt_s (local.get $verdict) (i32.const 0)))
                    (if (local.get $verdict) (then (br_if $bits (i32.eqz (call $admitRejected (local.get $verdict)))))))
                  (else
                    (if (i32.eq (local.get $first) (i32.const 0xbf))
                      (then
                        (br_if $bits (i32.eqz (call $isLoader (local.get $hit))))
                        (local.set $verdict (i32.const 19)))
                      (else
                        (br_if $bits (i32.eqz (call $isBtf (local.get $hit))))
                        (local.set $verdict (i32.const 17))))
                    (br_if $bits (i32.eqz (call $admit (local.get $hit) (i32.const 0x5f080))))))
                (i32.store (local.get $out) (local.get $hit))
                (i32.store offset=4 (local.get $out) (local.get $verdict))
                (local.set $out (i32.add (local.get $out) (i32.const 8)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br $bits)))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br $turn)))
    (i32.store (i32.const 0x5f000) (local.get $limit))
    (local.get $count))

  ;; Whether the byte $code, its partner $high and the two jumps behind them are a comparison of a classic filter whose jumps
  ;; differ, or another RET.
  (func $precedesReturn (param $code i32) (param $high i32) (param $jt i32) (param $jf i32) (result i32)
    (i32.and
      (i32.eqz (local.get $high))
      (i32.or
        (i32.and
          (i32.eq (local.get $code) (i32.const 6))
          (i32.eqz (i32.or (local.get $jt) (local.get $jf))))
        (i32.and
          (i32.and
            (i32.eq (i32.and (local.get $code) (i32.const 7)) (i32.const 5))
            (i32.le_u (i32.sub (local.get $code) (i32.const 0x15)) (i32.const 0x38)))
          (i32.ne (local.get $jt) (local.get $jf))))))

  ;; Whether the 06 at $hit is that of a RET, 06 00 00 00 or 00 06 00 00, behind a comparison or another RET.
  (func $isReturn (param $hit i32) (result i32)
    (local $code i32)
    (local.set $code (i32.load8_u (i32.sub (local.get $hit) (i32.const 8))))
    (i32.or
      (i32.and
        (i32.eqz (i32.load8_u offset=3 (local.get $hit)))
        (call $precedesReturn
          (local.get $code)
          (i32.load8_u (i32.sub (local.get $hit) (i32.const 7)))
          (i32.load8_u (i32.sub (local.get $hit) (i32.const 6)))
          (i32.load8_u (i32.sub (local.get $hit) (i32.const 5)))))
      (i32.and
        (i32.eqz (i32.load8_u (i32.sub (local.get $hit) (i32.const 1))))
        (call $precedesReturn
          (local.get $code)
          (i32.load8_u (i32.sub (local.get $hit) (i32.const 9)))
          (i32.load8_u (i32.sub (local.get $hit) (i32.const 7)))
          (i32.load8_u (i32.sub (local.get $hit) (i32.const 6)))))))

  ;; Lists the EXIT slots, of those in a row the first, and the RET instructions of classic filters in both byte orders, with the
  ;; address of the 06, that begin in [$from, $limit). Nine bytes before $from must be readable.
  (func (export "findCode") (param $from i32) (param $limit i32) (param $out i32) (param $capacity i32) (result i32)
    (local $at i32) (local $count i32) (local $x v128) (local $y v128) (local $95 v128) (local $06 v128) (local $zero v128)
    (local $mask i32) (local $hit i32) (local $row i32) (local $isExit i32)
    (local.set $95 (v128.load (i32.const 0x5f150)))
    (local.set $06 (v128.load (i32.const 0x5f160)))
    (local.set $zero (v128.load (i32.const 0x5f140)))
    (local.set $at (local.get $from))
    (block $done
      (loop $turn
        (br_if $done (i32.ge_u (local.get $at) (local.get $limit)))
        (local.set $x (v128.load (local.get $at)))
        (local.set $y (v128.load offset=16 (local.get $at)))
        ;; 95 00 00 or 06 00 00.
        (local.set $x (v128.and
          (v128.or (i8x16.eq (local.get $x) (local.get $95)) (i8x16.eq (local.get $x) (local.get $06)))
          (i8x16.eq
            (v128.or (v128.load offset=1 (local.get $at)) (v128.load offset=2 (local.get $at)))
            (local.get $zero))))
        (local.set $y (v128.and
          (v128.or (i8x16.eq (local.get $y) (local.get $95)) (i8x16.eq (local.get $y) (local.get $06)))
          (i8x16.eq
            (v128.or (v128.load offset=17 (local.get $at)) (v128.load offset=18 (local.get $at)))
            (local.get $zero))))
        (if (v128.any_true (v128.or (local.get $x) (local.get $y)))
          (then
            (local.set $mask (i32.or
              (i8x16.bitmask (local.get $x))
              (i32.shl (i8x16.bitmask (local.get $y)) (i32.const 16))))
            (block $judged
              (loop $bits
                (br_if $judged (i32.eqz (local.get $mask)))
                (local.set $hit (i32.add (local.get $at) (i32.ctz (local.get $mask))))
                (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
                (br_if $done (i32.ge_u (local.get $hit) (local.get $limit)))
                (local.set $isExit (i32.eq (i32.load8_u (local.get $hit)) (i32.const 0x95)))
                (if (local.get $isExit)
                  (then
                    (br_if $bits (i64.ne (i64.load (local.get $hit)) (i64.const 0x95)))
                    (br_if $bits (i64.eq (i64.load (i32.sub (local.get $hit) (i32.const 8))) (i64.const 0x95))))
                  (else
                    ;; Another one right behind the last: in the same run.
                    (if (i32.eq (local.get $hit) (i32.add (local.get $row) (i32.const 8)))
                      (then (local.set $row (local.get $hit)) (br $bits)))
                    (br_if $bits (i32.eqz (call $isReturn (local.get $hit))))))
                (if (i32.eq (local.get $count) (local.get $capacity))
                  (then (i32.store (i32.const 0x5f000) (local.get $hit)) (return (local.get $count))))
                (if (i32.eqz (local.get $isExit)) (then (local.set $row (local.get $hit))))
                (br_if $bits (i32.eqz (call $admit
                  (local.get $hit)
                  (select (i32.const 0x5f090) (i32.const 0x5f0a0) (local.get $isExit)))))
                (i32.store (local.get $out) (local.get $hit))
                (i32.store offset=4 (local.get $out) (select (i32.const 16) (i32.const 18) (local.get $isExit)))
                (local.set $out (i32.add (local.get $out) (i32.const 8)))
                (local.set $count (i32.add (local.get $count) (i32.const 1)))
                (br $bits)))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br $turn)))
    (i32.store (i32.const 0x5f000) (local.get $limit))
    (local.get $count)))
