// Carries events from those who make them to the one who iterates.

export class EventQueue<T> implements AsyncIterable<T> {
  private waiting: T[] = [];
  private wake: (() => void) | undefined;
  private ended = false;
  private error: unknown;

  push(item: T): void {
    this.waiting.push(item);
    this.wake?.();
  }

  /** Ends the iteration after what is waiting; with `error`, by throwing it. */
  end(error?: unknown): void {
    this.ended = true;
    this.error = error;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const batch = this.waiting;
      this.waiting = [];
      yield* batch;
      if (this.waiting.length > 0) continue;
      if (this.ended) break;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
    if (this.error !== undefined) throw this.error;
  }
}
