// What a renderer is: a function from the events of a scan to pieces of text.
// Renderers neither write nor know where their text goes.
import type { ScanEvent } from '../scan/events.ts';

export interface Style {
  /** Whether the reader's terminal shows colours. Nothing is said by colour alone. */
  readonly color: boolean;
  /** Columns to stay within; `Infinity` when the text does not go to a terminal, and then nothing is cut. */
  readonly width: number;
  /** 0, or how often `-v` was given. */
  readonly verbose: number;
  /** Only what was found. */
  readonly quiet: boolean;
}

export type Renderer = (events: AsyncIterable<ScanEvent>, style: Style) => AsyncIterable<string>;
