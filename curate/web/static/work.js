// What the page works on: the view, its pages, the images, and what is decided about them.
// Knows nothing of elements; tells whoever listens what has changed.

import { Away, Stranger, get, post } from "./server.js";

// So that a person can go on for a minute or two while the server is away.
export const PAGES_AHEAD = 5;
const IMAGES_KNOWN = 3000;

export class Work extends EventTarget {
  constructor(info, outbox, steps, clock) {
    super();
    this.info = info;
    this.outbox = outbox;
    this.steps = steps;
    this.clock = clock;
    this.tiles = new Map();
    this.notes = new Map(); // image -> what to tell about it
    this.view = firstView(info);
    this.size = Number(localStorage.getItem("curate-audit-size")) || 20;
    this.pages = [];
    this.at = 0;
    this.total = 0;
    this.counts = null;
    this.last = info.last; // the row of the ledger up to which this window has followed
    this.asked = 0;
    outbox.queue = () => this.view.queue;
    outbox.addEventListener("saved", ({ detail }) => this.saved(detail));
  }

  /** Images are given out to this person, instead of everybody seeing all. */
  get isGivenOut() {
    return this.info.overlap > 0 && this.view.state === "open";
  }

  get images() {
    return this.pages[this.at] ?? [];
  }

  tile(image) {
    return this.tiles.get(image);
  }

  // Pages

  async show(view) {
    const before = { view: this.view, pages: this.pages, at: this.at };
    this.view = { ...this.view, ...view };
    this.pages = [];
    this.at = 0;
    this.asked += 1;
    const { asked } = this;
    try {
      await this.load();
    } catch (error) {
      if (asked === this.asked) Object.assign(this, before);
      throw error;
    }
    this.tell("page");
    this.count();
  }

  /** Load the first page. */
  async load() {
    const pages = await this.fetchAfter("", this.asked);
    if (pages) this.pages = pages;
    this.prefetch();
  }

  async next() {
    if (this.at + 1 >= this.pages.length) await this.more();
    if (this.at + 1 >= this.pages.length) return false;
    this.at += 1;
    this.tell("page");
    this.refresh(this.images);
    this.prefetch();
    return true;
  }

  async previous() {
    if (this.at === 0) {
      const first = this.images[0];
      if (!first || this.isGivenOut) return false;
      const told = await get("/api/before", { ...this.query(), image: first, size: this.size });
      if (!told.tiles.length) return false;
      this.pages.unshift(this.take(told));
    } else {
      this.at -= 1;
    }
    this.tell("page");
    this.refresh(this.images);
    return true;
  }

  query() {
    const { state, name, queue, person, sort } = this.view;
    return { state, class: name, queue, person, sort };
  }

  /** Ask for images after one, as pages; null if the view has changed meanwhile. */
  async fetchAfter(after, asked) {
    if (this.isGivenOut) return this.fetchGiven(asked);
    const told = await get("/api/page", { ...this.query(), after, size: this.size });
    if (asked !== this.asked) return null;
    this.total = told.total;
    return [this.take(told)];
  }

  /** Take one page more than is still to be done: what is held here, nobody else gets. */
  async fetchGiven(asked) {
    const held = this.pages.flat().filter((image) => this.isOpen(this.tile(image))).length;
    const size = held + this.size;
    const told = await get("/api/batch", { queue: this.view.queue, size });
    if (asked !== this.asked) return null;
    const shown = new Set(this.pages.flat());
    const fresh = this.take(told).filter(
      (image) => !shown.has(image) && this.isOpen(this.tile(image)),
    );
    this.total = fresh.length;
    const pages = [];
    for (let i = 0; i < fresh.length; i += this.size) pages.push(fresh.slice(i, i + this.size));
    return pages;
  }

  /** Take in tiles; return their images. */
  take(told) {
    if (told.annotator !== this.info.annotator) {
      throw new Stranger(`this browser is ${told.annotator}'s now`);
    }
    if (this.tiles.size > IMAGES_KNOWN) this.forget();
    for (const tile of told.tiles) this.merge(tile, told.last);
    return told.tiles.map((tile) => tile.image_id);
  }

  forget() {
    const used = new Set(this.pages.slice(Math.max(0, this.at - 5)).flat());
    for (const image of this.tiles.keys()) {
      if (!used.has(image) && !this.outbox.holds(image)) this.tiles.delete(image);
    }
  }

  /** The server's word, but for what this person has decided and the server does not know. */
  merge(fresh, asOf) {
    const image = fresh.image_id;
    const known = this.tiles.get(image);
    if (known?.asOf > asOf) return; // an answer that was overtaken
    const waiting = this.outbox.latest(image);
    if (waiting) {
      const undone = waiting.kind === "undo";
      const mine = known ? known.mine : undone ? fresh.mine : decided(waiting);
      this.tiles.set(image, { ...fresh, mine, saved: false, asOf });
      return;
    }
    if (known?.mine && known.mine.key !== fresh.mine?.key) {
      this.notes.set(image, "changed in another window");
    }
    this.tiles.set(image, { ...fresh, saved: true, asOf });
  }

  /** Load what comes after the last page, once however many ask; says whether there was more. */
  more() {
    if (this.loading?.asked !== this.asked) {
      const loading = { asked: this.asked };
      loading.done = this.append(this.asked).finally(() => {
        if (this.loading === loading) this.loading = null;
      });
      this.loading = loading;
    }
    return this.loading.done;
  }

  async append(asked) {
    const pages = await this.fetchAfter(this.pages.at(-1)?.at(-1) ?? "", asked);
    const full = pages?.filter((page) => page.length) ?? [];
    if (asked !== this.asked || !full.length) return false;
    this.pages.push(...full);
    this.tell("ahead");
    return true;
  }

  /** Load the next pages before they are asked for. */
  async prefetch() {
    const asked = this.asked;
    try {
      while (asked === this.asked && this.images.length) {
        const ahead = this.isGivenOut ? 1 : PAGES_AHEAD;
        if (this.pages.length > this.at + ahead || !(await this.more())) return;
      }
    } catch (error) {
      if (!(error instanceof Away)) this.trouble(error);
    }
  }

  /** Ask how some images stand now. */
  async refresh(images) {
    if (!images.length) return;
    try {
      this.take(await post("/api/tiles", { images, queue: this.view.queue }));
      this.tell("tiles");
    } catch (error) {
      if (!(error instanceof Away)) this.trouble(error);
    }
  }

  /** Ask what others, or other windows, have decided. */
  async follow() {
    try {
      const told = await get("/api/changes", { after: this.last });
      if (told.list !== this.info.list) {
        this.info.list = told.list;
        this.tell("list");
      }
      if (told.last === this.last) return;
      this.last = told.last;
      const shown = this.images.filter((image) => !told.images || told.images.includes(image));
      await this.refresh(shown);
      this.count();
    } catch (error) {
      if (!(error instanceof Away)) this.trouble(error);
    }
  }

  async count() {
    try {
      const { person, queue } = this.view;
      this.counts = await get("/api/counts", { person, queue });
      this.tell("counts");
    } catch (error) {
      if (!(error instanceof Away)) this.trouble(error);
    }
  }

  // Deciding

  /** Whether this person has to decide; in a queue, what was decided before it does not count. */
  isOpen(tile) {
    return !tile.mine || (this.view.queue !== "" && tile.mine.queue !== this.view.queue);
  }

  /** What a tile says now, to be confirmed or corrected; null if nothing says anything. */
  answer(tile) {
    if (!this.isOpen(tile)) return tile.mine;
    const proposed = tile.proposed ? { kind: "label", classes: tile.proposed } : null;
    if (tile.by === "queue") return proposed;
    if (tile.mine) return tile.mine;
    if (tile.state === "done" || tile.state === "rejected") return tile.others.find(isFirm);
    return proposed;
  }

  /** Decide about images: `[[image, kind, classes]]`, all by one key. */
  decide(choices, mode = "one") {
    if (!choices.length) return;
    const seconds = this.clock.lap(choices.length);
    const items = [];
    const rows = choices.map(([image, kind, classes]) => {
      const tile = this.tiles.get(image);
      const row = this.row(tile, kind, classes, mode, seconds);
      items.push({ image, before: tile.mine, after: decided(row) });
      this.put(image, decided(row));
      return row;
    });
    this.steps.did(items);
    this.outbox.add(rows);
    this.tell("tiles");
  }

  row(tile, kind, classes, mode, seconds) {
    const isBlind = tile.blind;
    return {
      key: crypto.randomUUID(),
      kind,
      image_id: tile.image_id,
      classes: kind === "label" ? [...new Set(classes)].sort() : null,
      shown: isBlind ? null : tile.proposed,
      shown_score: isBlind ? null : tile.score,
      shown_by: isBlind ? null : tile.by,
      queue: this.view.queue,
      mode: isBlind ? "blind" : mode,
      seconds,
      base: tile.mine?.key ?? null,
      at: Date.now(),
    };
  }

  put(image, mine) {
    const tile = this.tiles.get(image);
    if (!tile) return;
    this.notes.delete(image);
    this.tiles.set(image, { ...tile, mine, saved: false });
  }

  /** Take the last step back; returns its images, null if there is none. */
  undo() {
    const items = this.steps.undo();
    if (!items) return null;
    const rows = items.map(({ image, before, after }) => {
      this.put(image, before);
      return {
        key: crypto.randomUUID(),
        kind: "undo",
        image_id: image,
        undoes: after.key,
        queue: this.view.queue,
        mode: "one",
        at: Date.now(),
      };
    });
    this.outbox.add(rows);
    this.tell("tiles");
    return items.map(({ image }) => image);
  }

  /** Do the last undone step again; returns its images, null if there is none. */
  async redo() {
    const items = this.steps.redo();
    if (!items) return null;
    const missing = items.map(({ image }) => image).filter((image) => !this.tiles.has(image));
    if (missing.length) await this.refresh(missing);
    const again = items.filter(({ image }) => this.tiles.has(image));
    const rows = again.map(({ image, after }) =>
      this.row(this.tiles.get(image), after.kind, after.classes, "one", null),
    );
    this.steps.redid(
      again.map(({ image }, i) => {
        const before = this.tiles.get(image).mine;
        this.put(image, decided(rows[i]));
        return { image, before, after: decided(rows[i]) };
      }),
    );
    this.outbox.add(rows);
    this.tell("tiles");
    return again.map(({ image }) => image);
  }

  /** Go to the page of an image, if it is among those loaded. */
  async goTo(image) {
    const at = this.pages.findIndex((page) => page.includes(image));
    if (at < 0 || at === this.at) return at >= 0;
    this.at = at;
    this.tell("page");
    return true;
  }

  /** The server has decisions on its disk: here is what stands there now. */
  saved({ results, tiles, last, refused }) {
    for (const { status, why } of results) {
      if (status === "refused") this.trouble(new Error(`One decision was not kept: ${why}`));
    }
    if (refused) this.refresh([refused]); // what stands there is not what was said
    for (const fresh of tiles) {
      if (this.tiles.has(fresh.image_id)) this.merge(fresh, last);
      const mine = fresh.mine?.key;
      const lost = results.find((each) => each.key === mine && each.replaced);
      if (lost) this.notes.set(fresh.image_id, "you said otherwise in another window");
    }
    this.tell("tiles");
    this.countSoon();
  }

  countSoon() {
    clearTimeout(this.counting);
    this.counting = setTimeout(() => this.count(), 250);
  }

  trouble(error) {
    this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
  }

  tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

function isFirm(said) {
  return said.kind === "label" || said.kind === "reject";
}

function decided({ key, kind, classes, queue }) {
  return { key, kind, classes, queue };
}

function firstView(info) {
  const person = info.overlap > 0 ? info.annotator : "";
  return { state: "open", name: null, queue: info.queue, person, sort: "worst" };
}

/** Whether people contradict each other about a tile, this person's newest word included. */
export function isDisputed(tile) {
  const firm = [...tile.others, ...(tile.mine ? [tile.mine] : [])].filter(isFirm);
  const answers = new Set(firm.map((said) => JSON.stringify([said.kind, said.classes ?? null])));
  return answers.size > 1;
}
