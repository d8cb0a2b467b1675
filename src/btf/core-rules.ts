// Where loaders that follow libbpf's CO-RE algorithm differ, as values.

export interface CoreRules {
  /** A type or enumerator name without its flavor (`task_struct___old`). */
  readonly essentialName: (name: string) => string;
  /** ENUM and ENUM64 stand for each other. */
  readonly mixEnums: boolean;
  /** Values have 64 bits, and a ld_imm64 gets both halves. */
  readonly wideValues: boolean;
  /** Unsigned 32-bit enumerators from 2^31 up: read like signed ones, or as they are. */
  readonly unsignedEnumerators: 'sign-extend' | 'zero-extend';
  /** Any enum counts as signed, or only one with the kind flag. */
  readonly enumsAreSigned: boolean;
  readonly typeMatches: boolean;
  /** Candidates that did not match once are not asked again for the same local type. */
  readonly prune: boolean;
  /** Modules' types are candidates when the kernel proper has none. */
  readonly modules: boolean;
  /** What decides whether a load or store must change its width: an array's element, or the whole of it. */
  readonly accessSize: 'element' | 'whole';
  /** Loads and stores follow a field whose size differs. */
  readonly resize: boolean;
  /** A width that cannot be followed safely. */
  readonly unsafeResize: 'poison' | 'refuse';
  /** type_size and target_type_id of a type that is missing. */
  readonly missingType: 'zero' | 'refuse';
  /** What cannot be relocated becomes an invalid call, or the object is refused. */
  readonly poison: boolean;
  /** The instruction must hold the value that the local BTF gives. */
  readonly checkLocal: boolean;
}

/** The rules of a libbpf release, `[1, 4]` for 1.4.x. */
export function libbpfRules([major, minor]: readonly [major: number, minor: number], patch = 0): CoreRules {
  const since = (wantMajor: number, wantMinor: number, wantPatch = 0) =>
    major !== wantMajor ? major > wantMajor : minor !== wantMinor ? minor > wantMinor : patch >= wantPatch;
  return {
    essentialName: libbpfEssentialName,
    mixEnums: since(1, 0),
    wideValues: since(1, 0),
    unsignedEnumerators: since(1, 0) ? 'sign-extend' : 'zero-extend',
    enumsAreSigned: !since(1, 0),
    typeMatches: since(1, 0),
    prune: true,
    modules: since(0, 3),
    accessSize: since(1, 6) ? 'element' : 'whole',
    resize: since(0, 2),
    unsafeResize: 'poison',
    missingType: 'zero',
    poison: since(0, 0, 7),
    checkLocal: true,
  };
}

export const LIBBPF_RULES: CoreRules = libbpfRules([1, 7]);

/** aya-obj: libbpf's algorithm without its afterthoughts. */
export const AYA_RULES: CoreRules = {
  ...LIBBPF_RULES,
  essentialName: (name) => {
    const flavor = name.indexOf('___');
    return flavor < 0 ? name : name.slice(0, flavor);
  },
  mixEnums: false,
  unsignedEnumerators: 'zero-extend',
  typeMatches: false,
  prune: false,
  accessSize: 'whole',
  unsafeResize: 'refuse',
  missingType: 'refuse',
  checkLocal: false,
};

/** Up to the right-most `x___y` with neither x nor y an underscore (bpf_core_essential_name_len). */
export function libbpfEssentialName(name: string): string {
  for (let at = name.lastIndexOf('___'); at > 0; at = name.lastIndexOf('___', at - 1)) {
    const after = name[at + 3];
    if (name[at - 1] !== '_' && after !== undefined && after !== '_') return name.slice(0, at);
  }
  return name;
}
