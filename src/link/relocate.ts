// Maps, data and externs written into a laid-out stream, in the two forms that libbpf has (bpf_object__relocate_data).
import { CALL, OPCODE, POISON, PSEUDO } from '../insn/opcodes.ts';
import type { InstructionSlots, SlotFields } from '../insn/slots.ts';
import type { BpfMap } from '../object/maps.ts';
import type { BpfRelocation } from '../object/relocations.ts';
import type { ExternAnswer } from './externs.ts';
import { checkWide, type Stream } from './layout.ts';
import { type MapReference, refuse } from './loader.ts';

/**
 * `direct`: file descriptors, which are not hashed. `light`: places in the array of descriptors that a light skeleton's
 * loader program fills in; these are hashed.
 */
export type CodeForm = 'direct' | 'light';

export interface RelocateRules {
  readonly form: CodeForm;
  readonly maps: readonly BpfMap[];
  readonly relocationsOf: (functionIndex: number) => readonly BpfRelocation[];
  readonly externAt: (place: number, via: 'call' | 'load') => ExternAnswer;
  /** `imm` of the helper call that stands for the call of a missing kfunc; without it the call stays one of kfunc 0. */
  readonly poisonOf?: (place: number) => number;
  /** What else may stand in `src` for this map; by default MAP_VALUE for data, MAP_FD for other maps. */
  readonly pseudoOf?: (map: BpfMap) => number;
}

/** Writes into the stream and says where it refers to maps. */
export function relocateData({ slots, placed }: Stream, rules: RelocateRules): MapReference[] {
  const references: MapReference[] = [];
  for (const { function: home, start } of placed) {
    for (const { instruction, target } of rules.relocationsOf(home.index)) {
      const slot = start + instruction;
      if (target.kind === 'map' || target.kind === 'data') checkWide(slots, slot);
      if (target.kind === 'map') {
        pointAtMap(slots, slot, target.map, rules);
        references.push({ slot, map: target.map });
      } else if (target.kind === 'data') {
        pointAtData(slots, slot, target.map, target.offset, rules);
        references.push({ slot, map: target.map });
      } else if (target.kind === 'extern') {
        pointAtExtern(slots, slot, target.extern, rules);
      }
    }
  }
  return references;
}

/** As `bpf_map__set_autocreate(map, false)` leaves a reference (poison_map_ldimm64, libbpf 0.8). */
export function poisonMap(slots: InstructionSlots, { slot, map }: MapReference): void {
  const poison = { opcode: OPCODE.CALL, dst: 0, src: 0, offset: 0, imm: POISON.MAP + map };
  slots.write(slot, poison);
  slots.write(slot + 1, poison);
}

function pointAtMap(slots: InstructionSlots, slot: number, map: number, rules: RelocateRules): void {
  if (rules.form === 'light') writeWide(slots, slot, { src: PSEUDO.MAP_IDX, imm: map });
  else slots.write(slot, { src: pseudo(map, PSEUDO.MAP_FD, rules) });
}

function pointAtData(slots: InstructionSlots, slot: number, map: number, offset: number, rules: RelocateRules): void {
  if (rules.form === 'light') writeWide(slots, slot, { src: PSEUDO.MAP_IDX_VALUE, imm: map }, offset);
  else writeWide(slots, slot, { src: pseudo(map, PSEUDO.MAP_VALUE, rules) }, offset);
}

function pseudo(place: number, usual: number, { maps, pseudoOf }: RelocateRules): number {
  const map = maps[place];
  return map && pseudoOf ? pseudoOf(map) : usual;
}

function pointAtExtern(slots: InstructionSlots, slot: number, place: number, rules: RelocateRules): void {
  if (slots.opcode(slot) === OPCODE.CALL) {
    callExtern(slots, slot, place, rules.externAt(place, 'call'), rules);
  } else {
    checkWide(slots, slot);
    loadExtern(slots, slot, rules.externAt(place, 'load'), rules);
  }
}

function callExtern(
  slots: InstructionSlots,
  slot: number,
  place: number,
  answer: ExternAnswer,
  { poisonOf }: RelocateRules,
): void {
  switch (answer.kind) {
    case 'type':
      slots.write(slot, { src: CALL.KFUNC, imm: answer.id, offset: answer.module });
      return;
    case 'missing':
      if (poisonOf) slots.write(slot, { dst: 0, src: CALL.HELPER, offset: 0, imm: poisonOf(place) });
      else slots.write(slot, { src: CALL.KFUNC, imm: 0, offset: 0 });
      return;
    default:
      throw refuse(`slot ${slot} calls an extern that is no function`);
  }
}

function loadExtern(slots: InstructionSlots, slot: number, answer: ExternAnswer, { form, maps }: RelocateRules): void {
  switch (answer.kind) {
    case 'kconfig': {
      const map = maps.find(({ origin }) => origin === 'kconfig')?.index ?? 0;
      if (form === 'light') writeWide(slots, slot, { src: PSEUDO.MAP_IDX_VALUE, imm: map }, answer.offset);
      else slots.write(slot, { src: PSEUDO.MAP_VALUE });
      return;
    }
    case 'type':
      writeWide(slots, slot, { src: PSEUDO.BTF_ID, imm: answer.id });
      return;
    case 'address':
      writeWide(slots, slot, { imm: Number(BigInt.asIntN(32, answer.address)) }, Number(answer.address >> 32n));
      return;
    case 'missing':
      writeWide(slots, slot, { src: 0, imm: 0 });
      return;
  }
}

function writeWide(slots: InstructionSlots, slot: number, fields: Partial<SlotFields>, high = 0): void {
  slots.write(slot, fields);
  slots.write(slot + 1, { imm: high });
}
