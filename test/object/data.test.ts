import { expect, test } from 'vitest';
import { dataVariables, initialData, stringAt, stringsIn } from '../../src/object/data.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { ElfBuilder, words } from '../support/elf-builder.ts';
import { sample } from './groups.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const mapNamed = (object: BpfObject, name: string) => {
  const map = object.maps.find((each) => each.name === name);
  if (map === undefined) throw new Error(`no map ${name}`);
  return map;
};

test('variables have names, places and types', () => {
  const object = openObject(sample('globals'));
  const [limits] = dataVariables(object, mapNamed(object, '.data.limits'));
  expect(limits).toMatchObject({ name: 'limits', offset: 0, size: 16 });
  expect(object.btf?.sizeOf(limits?.type ?? 0)).toBe(16);
});

test('variables have names and places without BTF too', () => {
  const object = openObject(
    new ElfBuilder()
      .variable('a', { section: '.data', content: words('little', [1]) })
      .variable('b', { section: '.data', content: words('little', [2, 3]) })
      .build(),
  );
  expect(dataVariables(object, mapNamed(object, '.data'))).toEqual([
    { name: 'a', offset: 0, size: 4 },
    { name: 'b', offset: 4, size: 8 },
  ]);
});

test('data starts with what the object holds, .bss and ordinary maps with nothing', () => {
  const object = openObject(sample('globals'));
  expect(initialData(object, mapNamed(object, '.rodata.text'))).toEqual(bytes('sample\0'));
  expect(initialData(object, mapNamed(object, '.bss')).length).toBe(0);
  expect(initialData(object, mapNamed(object, 'steps')).length).toBe(0);
});

test('strings are runs of text that end in NUL', () => {
  const data = bytes('\0\x01\x02hello %d\n\0abc\0né é\0cut off');
  expect(stringsIn(data)).toEqual([
    { offset: 3, text: 'hello %d\n' },
    { offset: 17, text: 'né é' },
  ]);
});

test('bytes that are no UTF-8 are no string', () => {
  expect(stringsIn(new Uint8Array([0x61, 0xff, 0xfe, 0x62, 0x63, 0]))).toEqual([]);
});

test('a string at a place reads to its NUL, or is none', () => {
  const data = bytes('abc\0def');
  expect(stringAt(data, 0)).toBe('abc');
  expect(stringAt(data, 1)).toBe('bc');
  expect(stringAt(data, 3)).toBeUndefined();
  expect(stringAt(data, 4)).toBeUndefined();
  expect(stringAt(data, 99)).toBeUndefined();
});
