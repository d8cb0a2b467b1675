// `--dump DIR`: the evidence directory of a verb that carves.
import type { EvidenceDirectory } from '../evidence/evidence.ts';

/**
 * The new directory, when one was asked for; its code is loaded only then.
 * @throws EvidenceError when it cannot be made, or something is in it.
 */
export async function openEvidence(directory: string | undefined): Promise<EvidenceDirectory | undefined> {
  if (directory === undefined) return undefined;
  const { EvidenceDirectory } = await import('../evidence/evidence.ts');
  return EvidenceDirectory.create(directory);
}
