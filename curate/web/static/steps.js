// What can be taken back. One step is what one key did, were it a whole page. Kept for as long
// as the window is open, reloads included.

const MOST = 300;

export class Steps {
  constructor(place) {
    this.place = place;
    this.past = [];
    this.future = [];
    try {
      this.past = JSON.parse(sessionStorage.getItem(place) ?? "[]");
    } catch {
      this.past = [];
    }
  }

  /** @param items `{image, before, after}`: the person's decision before and after */
  did(items) {
    this.past.push(items);
    if (this.past.length > MOST) this.past.shift();
    this.future = [];
    this.keep();
  }

  undo() {
    const items = this.past.pop() ?? null;
    if (items) this.future.push(items);
    this.keep();
    return items;
  }

  redo() {
    return this.future.pop() ?? null;
  }

  /** A step was done again, under new keys. */
  redid(items) {
    this.past.push(items);
    this.keep();
  }

  keep() {
    try {
      sessionStorage.setItem(this.place, JSON.stringify(this.past));
    } catch {
      // Full: undo then lasts until the next reload only.
    }
  }
}
