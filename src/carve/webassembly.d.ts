// The two constructors of the WebAssembly JavaScript API that the finder uses; the compiler's own
// declarations come only with those of a browser.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    readonly exports: Readonly<Record<string, unknown>>;
    constructor(module: Module, imports: Readonly<Record<string, never>>);
  }
}
