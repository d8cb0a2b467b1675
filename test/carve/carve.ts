// Carves bytes in memory the way a scan carves a file: in segments, then all at once.
import { memoryReader, type Reader } from '../../src/bytes/reader.ts';
import { carveObjects } from '../../src/carve/carve.ts';
import { Finder } from '../../src/carve/search.ts';
import type { SizedObject } from '../../src/carve/size.ts';

export const SEGMENT = 8 * 1024 * 1024;

export interface Carved {
  readonly objects: readonly SizedObject[];
  /** Headers refused, by code. */
  readonly rejected: Readonly<Record<string, number>>;
  /** Header offset and code of the first of them. */
  readonly listed: readonly string[];
  /** Bytes of all objects together: what a dump would cost. */
  readonly bytes: number;
}

const finder = new Finder();

export function carve(content: Uint8Array, segment = SEGMENT): Carved {
  return carveFrom(memoryReader(content), content.length, segment);
}

export function carveFrom(reader: Reader, size: number, segment = SEGMENT): Carved {
  const parts = [];
  for (let from = 0; from < Math.max(1, size); from += segment) {
    parts.push(finder.search(reader, { from, to: from + segment }));
  }
  const offsets = parts.flatMap((part) => part.offsets);
  const { objects, ...carving } = carveObjects(reader, offsets, size);
  const rejected: Record<string, number> = {};
  for (const part of [...parts, carving]) {
    for (const [code, count] of Object.entries(part.rejected)) rejected[code] = (rejected[code] ?? 0) + count;
  }
  const listed = [...parts, carving].flatMap((part) => part.listed).map(({ offset, code }) => `${offset} ${code}`);
  return { objects, rejected, listed, bytes: objects.reduce((sum, { size }) => sum + size, 0) };
}

/** `offset+size completeness` of every object: what most tests are about. */
export function places(content: Uint8Array, segment?: number): string[] {
  return carve(content, segment).objects.map(({ offset, size, completeness }) => `${offset}+${size} ${completeness}`);
}
