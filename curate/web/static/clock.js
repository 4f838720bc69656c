// Time that a person really spends: pauses are capped, and a hidden page does not count.

const LONGEST_PAUSE_MS = 30000;
const WINDOW_MS = 5 * 60000;

export class Clock {
  constructor() {
    this.active = 0;
    this.seen = performance.now();
    this.began = 0;
    this.made = []; // [active time, decisions]
    for (const name of ["keydown", "pointerdown", "pointermove", "wheel", "touchstart"]) {
      addEventListener(name, () => this.beat(), { passive: true, capture: true });
    }
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.beat();
      else this.seen = performance.now();
    });
  }

  beat() {
    const now = performance.now();
    this.active += Math.min(now - this.seen, LONGEST_PAUSE_MS);
    this.seen = now;
  }

  /** Seconds since the last decision, shared by the n decisions made now. */
  lap(n) {
    this.beat();
    const seconds = (this.active - this.began) / 1000 / n;
    this.began = this.active;
    this.made.push([this.active, n]);
    while (this.made.length > 2 && this.made[0][0] < this.active - WINDOW_MS) this.made.shift();
    return Math.round(seconds * 1000) / 1000;
  }

  /** Decisions a minute over the last minutes of work; null while too few were made. */
  pace() {
    if (this.made.length < 3) return null;
    const minutes = (this.made.at(-1)[0] - this.made[0][0]) / 60000;
    const n = this.made.slice(1).reduce((sum, [, many]) => sum + many, 0);
    return minutes > 0.02 ? n / minutes : null;
  }
}
