// The version of this package, as reports state it.
import { createRequire } from 'node:module';

const manifest: unknown = createRequire(import.meta.url)('#package');

export const VERSION: string = isManifest(manifest) ? manifest.version : 'unknown';

function isManifest(value: unknown): value is { version: string } {
  return typeof value === 'object' && value !== null && 'version' in value && typeof value.version === 'string';
}
