// What is wrong with a call, in the words of its options: yargs says it in those of a program.
import { asGiven } from './arguments.ts';

/** A message of yargs about `argv`, short: the option, and what was expected. Others come back as they are. */
export function reword(message: string, argv: readonly string[]): string {
  const [, missing] = /^Not enough arguments following: (.+)$/.exec(message) ?? [];
  if (missing !== undefined) return `${optionOf(missing)}: expected a value`;
  const [, unknown] = /^Unknown arguments?: (.+)$/s.exec(message) ?? [];
  if (unknown !== undefined) return complaint(unknown.split(', ').map(asGiven), argv);
  const [, option, given, choices] = INVALID_VALUE.exec(message) ?? [];
  if (option !== undefined && choices !== undefined)
    return `${optionOf(option)}: expected ${alternatives(choices)}, not ${given}`;
  if (message.startsWith('Not enough non-option arguments')) return 'expected a target: see the help of this verb';
  return message;
}

const INVALID_VALUE = /^Invalid values:\s+Argument: (\S+), Given: (".*"), Choices: (.+)$/s;

/** What is no option is one target too many. */
function complaint(names: readonly string[], argv: readonly string[]): string {
  const extra = names.filter((name) => argv.includes(name));
  const options = [...new Set(names.filter((name) => !argv.includes(name)).map(optionOf))];
  if (options.length === 0) return `more targets than expected: ${extra.join(', ')}`;
  return `unknown option${options.length === 1 ? '' : 's'}: ${options.join(', ')}`;
}

/** yargs names options without their dashes, and once more as properties are spelled: `failOn` is `--fail-on`. */
function optionOf(name: string): string {
  const spelled = name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return `${name.length === 1 ? '-' : '--'}${spelled}`;
}

/** `"text", "json", "ndjson"` as `text, json or ndjson`. */
function alternatives(choices: string): string {
  const words = choices.split(', ').map((choice) => choice.replaceAll('"', ''));
  const last = words.pop() ?? '';
  return words.length === 0 ? last : `${words.join(', ')} or ${last}`;
}
