// The grid: tiles, the focus on one of them, and moving it.

import { $, hue, make, named } from "./dom.js";
import { isDisputed } from "./work.js";

/** A well hides at most a quarter of a picture that fills it. */
const MOST_CUT = 1.33;
const MARKS = { label: "✓", reject: "✕", unsure: "?" };
/** What a tile has besides its picture, and the least picture that can be judged, in pixels. */
const FRAME = { width: 10, height: 38 };
const LEAST = { width: 104, height: 64 };
/** Another number of columns must be better by this, so that pages do not jump. */
const BETTER = 1.15;

export class Tiles {
  constructor(work, keys, look) {
    this.work = work;
    this.keys = keys;
    this.look = look; // opens the focused image large
    this.box = $("grid");
    this.elements = new Map();
    this.focused = null;
    this.typed = null; // image whose classes are being typed
    this.seen = new Set(); // images of the page that have been on the screen
    this.box.addEventListener("scroll", () => this.see(), { passive: true });
    new ResizeObserver(() => this.fit()).observe(this.box);
    this.box.addEventListener("focusin", ({ target }) => {
      const image = target.closest?.(".tile")?.dataset.image;
      if (image && image !== this.focused) this.focus(image, false);
    });
  }

  /** Show the page anew. */
  draw() {
    const { images } = this.work;
    this.elements.clear();
    this.seen.clear();
    this.letters = new Map();
    const letters = this.keys.letters();
    const many = images.length;
    this.box.replaceChildren(
      ...images.map((image, place) => {
        const letter = letters[place] ?? "";
        if (letter) this.letters.set(letter, image);
        const element = this.make(image, letter, place, many);
        this.elements.set(image, element);
        return element;
      }),
    );
    this.box.dataset.size = String(this.work.size);
    this.box.hidden = !many;
    this.box.scrollTop = 0;
    images.forEach((image) => this.update(image));
    this.fit();
    this.focused = null;
    const first = this.firstOpen() ?? images[0];
    // Whoever goes through a list of choices by keys stays in it.
    const isChoosing = document.activeElement?.matches("input, select:focus-visible");
    if (first) this.focus(first, !isChoosing && (document.activeElement === document.body || this.had));
    this.had = true;
  }

  make(image, letter, place, many) {
    const picture = make("img", {
      src: `/thumb/${image}`, alt: "", decoding: "async", draggable: "false",
      onload: ({ target }) => target.classList.add("there"),
      onerror: ({ target }) => target.closest(".tile").classList.add("gone"),
    });
    return make(
      "div",
      {
        class: "tile", role: "option", tabindex: "-1", "aria-selected": "false",
        "data-image": image, "data-letter": letter,
        "aria-posinset": place + 1, "aria-setsize": many,
        onclick: () => this.click(image), ondblclick: () => this.look(image),
      },
      make("div", { class: "well" }, picture, make("span", { class: "broken" }, "This file cannot be shown")),
      letter ? make("kbd", { class: "letter", "aria-hidden": "true" }, letter) : null,
      make("span", { class: "mark", "aria-hidden": "true" }),
      make("div", { class: "words", "aria-hidden": "true" }),
    );
  }

  /** Note which images are on the screen, by more than half. */
  see() {
    const { top, bottom } = this.box.getBoundingClientRect();
    for (const [image, element] of this.elements) {
      const box = element.getBoundingClientRect();
      const middle = (box.top + box.bottom) / 2;
      if (middle > top && middle < bottom) this.seen.add(image);
    }
  }

  /** Whether the picture of an image cannot be shown. */
  isGone(image) {
    return this.elements.get(image)?.classList.contains("gone") ?? false;
  }

  /** Scroll to the first of these images that has not been on the screen; say whether one has not. */
  scrollToUnseen(images) {
    this.see();
    const image = images.find((each) => !this.seen.has(each));
    if (!image) return false;
    this.elements.get(image).scrollIntoView({ block: "start" });
    return true;
  }

  /** As many columns as show the pictures largest with nothing to scroll to; else as styled. */
  arrange() {
    const { clientWidth, clientHeight, style } = this.box;
    const { paddingLeft, paddingRight, paddingTop, paddingBottom, columnGap } = getComputedStyle(this.box);
    const gap = parseFloat(columnGap);
    const width = clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight) + gap;
    const height = clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom) + gap;
    const shapes = this.work.images.map((image) => {
      const tile = this.work.tile(image);
      return tile.width_px / tile.height_px;
    });
    const shown = (columns) => {
      const across = width / columns - gap - FRAME.width;
      const down = Math.min(300, height / Math.ceil(shapes.length / columns) - gap - FRAME.height);
      if (across < LEAST.width || down < LEAST.height) return 0;
      return shapes.reduce((sum, shape) => sum + Math.min(down, across / shape) ** 2 * shape, 0);
    };
    const counts = shapes.map((_, place) => place + 1);
    const best = counts.reduce((one, other) => (shown(other) > shown(one) ? other : one), 1);
    if (!(shown(this.columns) * BETTER > shown(best))) this.columns = best;
    const fits = shown(this.columns) > 0;
    style.gridTemplateColumns = fits ? `repeat(${this.columns}, minmax(0, 1fr))` : "";
    style.gridAutoRows = fits ? "minmax(0, 1fr)" : "";
  }

  /** Fill wells with pictures of nearly their shape; show the others whole. */
  fit() {
    if (this.elements.size) this.arrange();
    const well = this.box.querySelector(".well");
    if (!well?.clientHeight) return;
    const shape = well.clientWidth / well.clientHeight;
    for (const [image, element] of this.elements) {
      const tile = this.work.tile(image);
      const ratio = tile.width_px / tile.height_px / shape;
      element.classList.toggle("fill", Math.max(ratio, 1 / ratio) <= MOST_CUT);
    }
  }

  click(image) {
    if (this.focused === image && this.touched) this.look(image);
    this.touched = matchMedia("(pointer: coarse)").matches;
    this.focus(image);
  }

  updateAll() {
    for (const image of this.elements.keys()) this.update(image);
  }

  /** Show how an image stands. */
  update(image) {
    const element = this.elements.get(image);
    const tile = this.work.tile(image);
    if (!element || !tile) return;
    const answer = this.work.answer(tile);
    const disputed = isDisputed(tile);
    const done = !this.work.isOpen(tile);
    const standing = done ? tile.mine.kind : answer && answer.annotator ? "others" : "open";
    element.dataset.standing = disputed ? "conflict" : standing;
    element.dataset.answer = answer?.kind ?? "";
    element.dataset.saved = String(Boolean(tile.saved));
    const said = standing === "others" ? answer.kind : standing;
    element.querySelector(".mark").textContent = disputed ? "!" : (MARKS[said] ?? "");
    const label = this.label(tile, answer, element.dataset.letter, disputed);
    const words = element.querySelector(".words");
    words.replaceChildren(...this.words(tile, answer, disputed));
    words.title = label;
    element.setAttribute("aria-label", label);
  }

  words(tile, answer, disputed) {
    const words = [];
    const done = !this.work.isOpen(tile);
    const kind = answer?.kind;
    if (kind === "label") words.push(...this.chips(answer.classes));
    else if (kind === "reject") words.push(make("span", { class: "chip plain" }, "rejected"));
    else if (kind === "unsure") words.push(make("span", { class: "chip plain" }, "unsure"));
    else words.push(make("span", { class: "chip none" }, tile.blind ? "blind: what is it?" : "what is it?"));
    const corrected = done && tile.proposed && kind === "label" && !same(answer.classes, tile.proposed);
    if (disputed) words.push(make("span", { class: "aside alarm" }, others(tile)));
    else if (this.work.notes.has(tile.image_id)) {
      words.push(make("span", { class: "aside alarm" }, this.work.notes.get(tile.image_id)));
    } else if (corrected) words.push(make("s", { class: "aside" }, named(tile.proposed)));
    else if (!done && tile.mine) words.push(make("span", { class: "aside" }, `now ${spoken(tile.mine)}`));
    else if (answer?.annotator) words.push(make("span", { class: "aside" }, answer.annotator));
    else if (!done && tile.others.length) words.push(make("span", { class: "aside" }, others(tile)));
    else if (!done && tile.score !== null) {
      words.push(make("span", { class: "aside score" }, `${Math.round(tile.score * 100)} %`));
    }
    return words;
  }

  chips(classes) {
    if (!classes.length) return [make("span", { class: "chip plain" }, "none")];
    return classes.map((name) => {
      const chip = make("span", { class: "chip" }, name);
      const tone = hue(this.work.info.classes.indexOf(name));
      if (tone !== null) chip.style.setProperty("--hue", tone);
      return chip;
    });
  }

  label(tile, answer, letter, disputed) {
    const what = answer ? spoken(answer) : null;
    const parts = [];
    if (!this.work.isOpen(tile)) parts.push(what, tile.saved ? "saved" : "not saved yet");
    else if (!what) parts.push(tile.blind ? "shown without a proposal" : "nothing proposed");
    else if (answer.annotator) parts.push(`decided by ${answer.annotator}: ${what}`);
    else {
      parts.push(`proposed: ${what}`);
      if (tile.score !== null) parts.push(`${Math.round(tile.score * 100)} percent`);
    }
    if (disputed) parts.push(`conflict: ${others(tile)}`);
    else if (tile.state === "unsure" && tile.others.length) parts.push(others(tile));
    const note = this.work.notes.get(tile.image_id);
    if (note) parts.push(note);
    if (letter) parts.push(`key ${letter}`);
    return parts.join(", ");
  }

  // Focus

  focus(image, take = true) {
    if (!this.elements.has(image)) return;
    if (image !== this.focused) this.typed = null;
    const before = this.elements.get(this.focused);
    if (before) {
      before.tabIndex = -1;
      before.setAttribute("aria-selected", "false");
    }
    this.focused = image;
    const element = this.elements.get(image);
    element.tabIndex = 0;
    element.setAttribute("aria-selected", "true");
    if (take) element.focus({ preventScroll: false });
    this.work.tell("focus");
  }

  firstOpen() {
    return this.work.images.find((image) => this.work.isOpen(this.work.tile(image)));
  }

  /** Go on to the next image that is not decided, round the page; stay if there is none. */
  advance() {
    const { images } = this.work;
    const place = images.indexOf(this.focused);
    const round = [...images.slice(place + 1), ...images.slice(0, place + 1)];
    const open = round.find((image) => this.work.isOpen(this.work.tile(image)));
    if (open) this.focus(open);
    return Boolean(open);
  }

  move(key) {
    const { images } = this.work;
    const place = images.indexOf(this.focused);
    if (place < 0) return;
    const to = {
      ArrowRight: () => place + 1,
      ArrowLeft: () => place - 1,
      ArrowDown: () => this.vertically(place, 1),
      ArrowUp: () => this.vertically(place, -1),
      Home: () => 0,
      End: () => images.length - 1,
    }[key]();
    if (images[to]) this.focus(images[to]);
  }

  vertically(place, direction) {
    const boxes = [...this.elements.values()].map((each) => each.getBoundingClientRect());
    const columns = boxes.filter((box) => Math.abs(box.top - boxes[0].top) < 4).length;
    const to = place + direction * columns;
    const last = boxes.length - 1;
    const below = Math.floor(last / columns) > Math.floor(place / columns);
    return to > last && below ? last : to;
  }
}

function spoken(said) {
  if (said.kind === "label") return named(said.classes);
  return said.kind === "reject" ? "does not belong" : "unsure";
}

function same(one, other) {
  return one.length === other.length && one.every((name) => other.includes(name));
}

function others(tile) {
  const firm = tile.others.filter((said) => said.kind !== "unsure");
  return (firm.length ? firm : tile.others)
    .map((said) => `${said.annotator}: ${spoken(said)}`)
    .join(", ");
}
