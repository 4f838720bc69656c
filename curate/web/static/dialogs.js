// The three windows over the page: the keys, the image large, and choosing a class by name.

import { $, hue, keycap, make, named } from "./dom.js";
import { get } from "./server.js";

const MOST_FOUND = 50;

export class Help {
  constructor(keys, classes, changed) {
    this.keys = keys;
    this.classes = classes;
    this.changed = changed;
    this.box = $("keys");
  }

  open() {
    this.draw();
    this.box.showModal();
  }

  draw() {
    const row = (caps, words) => make("div", { class: "key-row" }, make("dt", {}, ...caps.map(keycap)), make("dd", {}, words));
    const letters = this.keys.letters();
    this.box.replaceChildren(
      make("form", { method: "dialog", class: "sheet-head" },
        make("h2", { id: "keys-title", tabindex: "-1", autofocus: true }, "Keys"),
        make("button", { class: "tool", "aria-label": "Close" }, "×")),
      make("p", { class: "lead" }, "Look at the page. For each image that is wrong, press its letter, then the key of its class. When the rest is right, press Shift and Enter: it is confirmed, and the next page comes."),
      make("div", { class: "columns" },
        make("section", {}, make("h3", {}, "Decide"), make("dl", {},
          row(["↵", "Space"], "confirm the focused image"),
          row(["⇧↵"], "confirm the rest of the page, go on"),
          row(["0", "n"], "none of these classes"),
          row(["u"], "unsure: cannot tell"),
          row(["x"], "reject: does not belong in the dataset"),
          row(["/"], "choose a class by name"),
          row(["z", "Z"], "undo, redo"))),
        make("section", {}, make("h3", {}, "Move"), make("dl", {},
          row([letters[0] ?? "a", letters[1] ?? "s", "…"], "go to the image with that letter"),
          row(["←", "→", "↑", "↓"], "go to the image beside"),
          row(["PgDn", "."], "next page"),
          row(["PgUp", ","], "previous page"),
          row(["v"], "view large, with all that is known"),
          row(["f"], "filters; Escape comes back"),
          row(["?"], "these keys")))),
      make("section", {}, make("h3", {}, "Classes"),
        make("p", { class: "quiet" }, "On an image that is not decided, a class takes the place of the proposal; where an image may have several, more presses add or remove. A key may be a digit, a small or a capital letter (Shift). They are kept in this browser."),
        make("ul", { class: "class-keys" }, ...this.classes.map((name) => this.classKey(name))),
        make("p", { id: "keys-told", role: "status" }),
        make("button", { type: "button", class: "act", onclick: () => { this.keys.reset(); this.refresh(""); } }, "Reset the keys")),
    );
  }

  classKey(name) {
    const input = make("input", {
      type: "text", maxlength: "1", size: "1", value: this.keys.keyOf(name),
      "aria-label": `Key of ${name}`, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
      onfocus: ({ target }) => target.select(),
      onchange: ({ target }) => this.refresh(this.keys.set(name, target.value.trim()), name),
    });
    return make("li", {}, make("label", {}, make("span", {}, name), input));
  }

  refresh(told, name = "") {
    this.draw();
    $("keys-told").textContent = told && `Not changed: ${name}: ${told}.`;
    this.changed();
  }
}

export class Palette {
  constructor(chosen) {
    this.chosen = chosen;
    this.box = $("palette");
    this.place = 0;
  }

  open(names, mayAdd) {
    this.names = names;
    this.mayAdd = mayAdd;
    this.input = make("input", {
      type: "text", maxlength: "500", dir: "auto", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list",
      "aria-label": "Class", placeholder: "Type a class", autocomplete: "off", spellcheck: "false",
      oninput: () => { this.place = 0; this.draw(); },
      onkeydown: (event) => this.key(event),
    });
    this.list = make("ul", { id: "palette-list", role: "listbox", "aria-label": "Classes" });
    this.box.replaceChildren(this.input, this.list);
    this.place = 0;
    this.draw();
    this.box.showModal();
    this.input.focus();
  }

  found() {
    const wanted = this.input.value.trim().toLowerCase();
    const starts = this.names.filter((name) => name.toLowerCase().startsWith(wanted));
    const holds = this.names.filter((name) => !starts.includes(name) && name.toLowerCase().includes(wanted));
    const found = [...starts, ...holds].slice(0, MOST_FOUND);
    const typed = this.input.value.trim();
    if (this.mayAdd && typed && !this.names.includes(typed)) found.push(typed);
    return found;
  }

  draw() {
    const found = this.found();
    this.list.replaceChildren(
      ...found.map((name, place) => {
        const isNew = !this.names.includes(name);
        const option = make("li", {
          role: "option", id: `option-${place}`, "aria-selected": String(place === this.place),
          onclick: () => this.choose(name),
        }, isNew ? `New class: ${name}` : name);
        const tone = hue(this.names.indexOf(name));
        if (tone !== null) option.style.setProperty("--hue", tone);
        return option;
      }),
    );
    if (!found.length) this.list.append(make("li", { class: "quiet" }, "No class has such a name"));
    this.input.setAttribute("aria-activedescendant", found.length ? `option-${this.place}` : "");
    this.list.children[this.place]?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const found = this.found();
    if (event.key === "ArrowDown") this.place = Math.min(this.place + 1, found.length - 1);
    else if (event.key === "ArrowUp") this.place = Math.max(this.place - 1, 0);
    else if (event.key === "Enter") {
      event.preventDefault();
      if (found[this.place] !== undefined) this.choose(found[this.place]);
      return;
    } else return;
    event.preventDefault();
    this.draw();
  }

  choose(name) {
    this.box.close();
    this.chosen(name);
  }
}

export class Zoom {
  constructor(work, closed) {
    this.work = work;
    this.box = $("zoom");
    this.box.addEventListener("close", closed);
    this.box.addEventListener("click", ({ target }) => { if (target === this.box) this.box.close(); });
  }

  get isOpen() {
    return this.box.open;
  }

  async show(image) {
    this.image = image;
    const tile = this.work.tile(image);
    this.side = make("div", { class: "zoom-side" });
    this.box.replaceChildren(
      make("button", { type: "button", class: "tool zoom-close", "aria-label": "Close (v)", onclick: () => this.box.close() }, "×"),
      make("div", { class: "zoom-well", tabindex: "-1", autofocus: true }, make("img", {
        src: `/image/${image}`, alt: "", width: tile.width_px, height: tile.height_px,
        onerror: ({ target }) => target.replaceWith(make("p", { class: "zoom-broken" }, "This file cannot be shown")),
      })),
      this.side,
    );
    this.drawSide(null);
    if (!this.box.open) this.box.showModal();
    try {
      const known = await get(`/api/image/${image}`);
      if (this.image === image) this.drawSide(known);
    } catch {
      // The picture is what matters; what is known of it comes when the server does.
    }
  }

  redraw() {
    if (this.isOpen) this.drawSide(this.known);
  }

  drawSide(known) {
    this.known = known;
    const tile = this.work.tile(this.image);
    if (!tile) return; // of a page long gone
    const answer = this.work.answer(tile);
    const words = answer?.kind === "label" ? named(answer.classes) : answer?.kind === "reject" ? "does not belong" : (answer?.kind ?? "not decided");
    const hidden = tile.blind && !tile.mine;
    this.side.replaceChildren(
      make("p", { class: "zoom-answer", "aria-live": "polite" }, words),
      make("p", { class: "quiet" }, tile.mine ? "your decision" : hidden ? "shown without a proposal" : "proposed"),
      ...(hidden ? [] : tile.guesses.map(([name, score]) => this.guess(name, score))),
      hidden ? "" : this.facts(known),
      make("p", { class: "quiet zoom-keys" }, keycap("←"), keycap("→"), " other images, keys decide as usual, ", keycap("v"), " or Escape closes"),
    );
  }

  guess(name, score) {
    return make("div", { class: "guess" },
      make("span", {}, name), make("meter", { min: 0, max: 1, value: score, "aria-label": `Score of ${name}` }),
      make("span", { class: "number" }, `${Math.round(score * 100)} %`));
  }

  facts(known) {
    if (!known) return make("p", { class: "quiet" }, "…");
    const rows = [
      ["Author", known.author], ["Licence", known.license], ["Credit", known.attribution],
      ["Source", `${known.source} ${known.source_id}`], ["Page", known.page_url ?? known.url],
      ["Size", `${known.width_px} × ${known.height_px} ${known.format}, ${Math.round(known.n_bytes / 1024).toLocaleString("en")} KB`],
      ...Object.entries(known.meta),
      ["Image", known.image_id.slice(0, 12)],
    ];
    const said = known.said.filter((each) => each.kind !== "undo").slice(-8).reverse();
    return make("dl", { class: "facts" },
      ...rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
      ...(said.length ? [make("dt", {}, "Said"), ...said.map((each) => make("dd", {},
        `${each.annotator}: ${each.kind === "label" ? named(each.classes) : each.kind}, ${new Date(each.decided_at * 1000).toLocaleString()}`))] : []),
    );
  }
}
