// JSON with 64-bit numbers, as bpftool writes them: what a double cannot hold becomes a `0x` string instead of another number.

/**
 * Parses what bpftool prints, also where it is not quite JSON.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  const sound = isJson(text) ? text : repairFlowDissector(text);
  // Valid from here on, or this throws: only then do strings end where they seem to.
  const value: unknown = JSON.parse(sound);
  return /\d{16}/.test(sound) ? JSON.parse(keepLargeNumbers(sound)) : value;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return false;
  }
}

/** `bpftool net` up to 7.8 forgets the braces around these: `"flow_dissector":["id":565]`. */
function repairFlowDissector(text: string): string {
  return text.replace(/\[\s*"id":\s*(\d{1,10})\s*\]/g, '[{"id":$1}]');
}

/** Strings are matched so as to be passed over whole. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;

function keepLargeNumbers(text: string): string {
  return text.replace(TOKENS, (token) => {
    if (token.startsWith('"') || Number.isSafeInteger(Number(token))) return token;
    const value = BigInt(token);
    return value < 0n ? `"-0x${(-value).toString(16)}"` : `"0x${value.toString(16)}"`;
  });
}

type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The objects of an array; what else is in it is passed over. */
export function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** A count, id or size; `undefined` for anything else. */
export function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A name, or the number of what has none. */
export function nameOrNumber(value: unknown): string | number | undefined {
  return text(value) ?? count(value);
}

/** bpftool writes 0 and 1 in some places, false and true in others. */
export function flag(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  return value === 0 || value === 1 ? value === 1 : undefined;
}

export function counts(value: unknown): number[] {
  return Array.isArray(value) ? value.flatMap((item) => count(item) ?? []) : [];
}
