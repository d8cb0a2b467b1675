// Maps in full: their definition, the C types of keys and values, what the object itself puts into them.
import { typeName } from '../btf/format-name.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { type DataString, dataVariables, initialData, stringsIn } from './data.ts';
import type { BpfMap, InitialValue, MapDefinition } from './maps.ts';
import type { BpfObject } from './open.ts';
import type { MapSummary } from './summarize.ts';
import type { TextAllowance } from './text-allowance.ts';
import { wide } from './wide.ts';

export interface VariableRecord {
  readonly name: string;
  /** Bytes from the start of the map's value. */
  readonly offset: number;
  readonly size: number;
  /** As C names it. */
  readonly type?: string;
}

/** The map that the slots of a map of maps take. */
export type InnerMap = Omit<MapSummary, 'name'>;

export interface MapDetails extends MapSummary {
  /** Absent where there is no ELF. */
  readonly origin?: BpfMap['origin'];
  /** Where the map's variable or its data lies. */
  readonly section?: string;
  /** As C names them: `struct event`. */
  readonly keyType?: string;
  readonly valueType?: string;
  readonly pinning?: string | number;
  readonly numaNode?: number;
  readonly mapExtra?: number | string;
  readonly inner?: InnerMap;
  /** Programs and maps that the object puts in. */
  readonly initialValues?: readonly InitialValue[];
  /** Global data: what is in it by name, and the text among its bytes. */
  readonly variables?: readonly VariableRecord[];
  readonly strings?: readonly DataString[];
}

export class MapDescriber {
  readonly #object: BpfObject;
  readonly #text: TextAllowance;
  readonly #log: DiagnosticLog;

  constructor(object: BpfObject, text: TextAllowance, log: DiagnosticLog) {
    this.#object = object;
    this.#text = text;
    this.#log = log;
  }

  /** `summary` is what the overview says of the map. */
  describe(map: BpfMap, summary: MapSummary): MapDetails {
    const section = map.sectionIndex === undefined ? undefined : this.#object.elf.sections[map.sectionIndex]?.name;
    const { origin, pinning, numaNode, mapExtra, inner, initialValues } = map;
    const keyType = this.#typeName(map.keyType);
    const valueType = this.#typeName(map.valueType);
    return {
      ...summary,
      origin,
      ...(section !== undefined && { section: this.#text.take(section) }),
      ...(keyType !== undefined && { keyType }),
      // Of global data that is only the section's own name again.
      ...(valueType !== undefined && origin !== 'data' && origin !== 'kconfig' && { valueType }),
      ...(pinning !== undefined && { pinning }),
      ...(numaNode !== undefined && { numaNode }),
      ...(mapExtra !== undefined && { mapExtra: wide(mapExtra) }),
      ...(inner !== undefined && { inner: innerMap(inner) }),
      ...(initialValues.length > 0 && {
        initialValues: initialValues.map((value) => ({ ...value, name: this.#text.take(value.name) })),
      }),
      ...(origin === 'data' && this.#contents(map)),
    };
  }

  #contents(map: BpfMap): Pick<MapDetails, 'variables' | 'strings'> {
    const variables = dataVariables(this.#object, map).map(({ name, offset, size, type }): VariableRecord => {
      const words = this.#typeName(type);
      return { name: this.#text.take(name), offset, size, ...(words !== undefined && { type: words }) };
    });
    return { variables, strings: stringsIn(initialData(this.#object, map)) };
  }

  #typeName(id: number | undefined): string | undefined {
    const { btf } = this.#object;
    if (id === undefined || btf === undefined) return undefined;
    const name = this.#log.attempt(`BTF type ${id}`, () => typeName(btf, id));
    return name === undefined ? undefined : this.#text.take(name);
  }
}

function innerMap({ type, keySize, valueSize, maxEntries, flags }: MapDefinition): InnerMap {
  return {
    ...(type !== undefined && { type }),
    ...(keySize !== undefined && { keySize }),
    ...(valueSize !== undefined && { valueSize }),
    ...(maxEntries !== undefined && { maxEntries }),
    ...(flags !== undefined && { flags }),
  };
}
