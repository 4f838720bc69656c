// Everything round the grid: progress, filters, classes, and the buttons below.

import { $, hue, keycap, make, plural } from "./dom.js";

const MOST_LISTED = 300;
const MOST_BUTTONS = 10;

const STATES = {
  open: "to do", done: "done", unsure: "unsure", conflict: "in conflict",
  rejected: "rejected", all: "in all",
};

const EMPTY = {
  open: "Nothing left to do here", done: "Nothing is decided yet", unsure: "Nothing is unsure",
  conflict: "There are no conflicts", rejected: "Nothing is rejected", all: "Nothing here",
};

export class Bar {
  constructor(work, keys, clock, acts) {
    this.work = work;
    this.keys = keys;
    this.clock = clock;
    this.acts = acts;
    this.setUpFilters();
    $("class-search").addEventListener("input", () => this.drawClasses());
    $("next").addEventListener("click", () => acts.next());
    $("previous").addEventListener("click", () => acts.previous());
    $("empty-all").addEventListener("click", () => acts.show({ state: "all", name: null, queue: "" }));
    this.drawButtons();
  }

  setUpFilters() {
    const { info, view, size } = this.work;
    const queues = Object.entries(info.queues);
    $("filter-queue").replaceChildren(
      make("option", { value: "" }, "All images"),
      ...queues.map(([name, n]) => make("option", { value: name }, `${name} (${n.toLocaleString("en")})`)),
    );
    $("filter-queue-label").hidden = !queues.length;
    $("filter-person").replaceChildren(
      make("option", { value: "" }, "anybody"),
      ...info.people.map((name) => make("option", { value: name }, name)),
    );
    this.showFilters(view, size);
    for (const name of ["state", "queue", "person", "sort"]) {
      $(`filter-${name}`).addEventListener("change", ({ target }) => {
        this.acts.show({ [name]: target.value });
      });
    }
    $("filter-size").addEventListener("change", ({ target }) => this.acts.resize(Number(target.value)));
    $("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  showFilters(view, size) {
    for (const name of ["state", "queue", "person", "sort"]) $(`filter-${name}`).value = view[name];
    $("filter-size").value = String(size);
    $("filter-sort").disabled = Boolean(view.queue);
  }

  drawHeading() {
    const { view, pages, at, images, size } = this.work;
    const name = view.name === "" ? "None of the classes" : view.name;
    $("heading").textContent = name ?? (view.queue ? `Queue: ${view.queue}` : "All classes");
    const words = !images.length
      ? ""
      : this.work.isGivenOut
        ? `${plural(images.length, "image")} given to you`
        : `Page ${at + 1} · ${this.many().toLocaleString("en")} ${STATES[view.state]}`;
    $("heading-words").textContent = words;
    $("next").disabled = at + 1 >= pages.length;
    $("previous").disabled = !images.length;
    if (!images.length) this.drawPressed(null);
    this.showFilters(view, size);
    this.drawEmpty();
  }

  /** Images of the view: the newest count where there is one. */
  many() {
    const { counts, view, total } = this.work;
    if (view.state !== "open" || !counts) return total;
    return view.name === null ? counts.states.open : countOf(counts, view.name).open;
  }

  drawEmpty() {
    const isEmpty = !this.work.images.length;
    $("empty").hidden = !isEmpty;
    if (!isEmpty) return;
    const { state } = this.work.view;
    const nothing = !this.work.info.images;
    $("empty-title").textContent = nothing ? "There are no images yet" : EMPTY[state];
    $("empty-words").textContent = nothing
      ? "Fetch or import some, and reload this page."
      : "Choose another class, queue or state at the side, or look at everything once more.";
    $("empty-all").hidden = nothing;
  }

  drawCounts() {
    const { counts, view } = this.work;
    if (!counts) return;
    const { states } = counts;
    const all = Object.values(states).reduce((sum, n) => sum + n, 0);
    const done = all - states.open;
    $("done-bar").max = Math.max(all, 1);
    $("done-bar").value = done;
    $("done-words").textContent = `${done.toLocaleString("en")} of ${all.toLocaleString("en")}`;
    const pace = this.clock.pace();
    const parts = [];
    if (pace && states.open) parts.push(`${Math.round(pace)} a minute`, `${left(states.open / pace)} left`);
    else if (all) parts.push(`${Math.floor((100 * done) / all)} % decided`);
    if (states.conflict) parts.push(plural(states.conflict, "conflict"));
    $("pace-words").textContent = parts.join(" · ");
    for (const option of $("filter-state").options) {
      const n = option.value === "all" ? all : states[option.value];
      const [words] = option.textContent.split(" (");
      option.textContent = `${words} (${n.toLocaleString("en")})`;
    }
    if (view.state !== "all") $("filter-state").value = view.state;
    this.drawClasses();
    this.drawHeading();
  }

  drawClasses() {
    const { counts, info } = this.work;
    if (!counts) return;
    const names = [...new Set([...info.classes, ...Object.keys(counts.classes)])];
    $("class-search").hidden = names.length < 20;
    const wanted = $("class-search").value.trim().toLowerCase();
    const found = names.filter((name) => name && name.toLowerCase().includes(wanted));
    const all = Object.values(counts.states);
    const total = all.reduce((sum, n) => sum + n, 0);
    const rows = [
      this.classRow(null, "All classes", { total, open: counts.states.open }, -1),
      ...found.slice(0, MOST_LISTED).map((name) =>
        this.classRow(name, name, countOf(counts, name), info.classes.indexOf(name)),
      ),
    ];
    if (counts.classes[""] && !wanted) rows.push(this.classRow("", "none of these", counts.classes[""], -1));
    if (found.length > MOST_LISTED) {
      rows.push(make("li", { class: "quiet" }, `and ${(found.length - MOST_LISTED).toLocaleString("en")} more`));
    }
    const focused = document.activeElement?.closest?.("#classes button")?.dataset.name;
    $("classes").replaceChildren(...rows);
    if (focused !== undefined) {
      [...$("classes").querySelectorAll("button")].find((each) => each.dataset.name === focused)?.focus();
    }
  }

  classRow(name, words, { total, open }, place) {
    const bar = make("span", { class: "share", "aria-hidden": "true" });
    bar.style.setProperty("--share", total ? (total - open) / total : 0);
    const dot = make("span", { class: "class-dot", "aria-hidden": "true" });
    const tone = hue(place);
    if (tone !== null) dot.style.setProperty("--hue", tone);
    else dot.classList.add("plain");
    const button = make(
      "button",
      {
        type: "button", "data-name": name ?? "*",
        "aria-pressed": String(this.work.view.name === name),
        "aria-label": `${words}: ${open} of ${total} to do`,
        onclick: () => this.acts.show({ name }),
      },
      dot, make("span", { class: "class-name" }, words),
      make("span", { class: "class-n" }, open.toLocaleString("en")), bar,
    );
    return make("li", {}, button);
  }

  /** The buttons below: they say which key does the same. */
  drawButtons() {
    const { classes } = this.work.info;
    const shown = classes.slice(0, MOST_BUTTONS);
    $("bar-classes").replaceChildren(
      ...shown.map((name) => {
        const tone = hue(classes.indexOf(name));
        const button = this.button(name, this.keys.keyOf(name), () => this.acts.choose(name), "class-button");
        button.style.setProperty("--hue", tone);
        button.dataset.name = name;
        return button;
      }),
      this.button("none", "0", () => this.acts.none(), "class-button plain"),
      this.button(classes.length > MOST_BUTTONS ? `${classes.length - MOST_BUTTONS} more` : "other", "/", () => this.acts.openPalette(), "class-button plain", "Choose a class by its name"),
    );
    $("bar-actions").replaceChildren(
      this.button("Unsure", "u", () => this.acts.unsure()),
      this.button("Reject", "x", () => this.acts.reject()),
      this.button("View", "v", () => this.acts.look()),
      this.button("↶", "z", () => this.acts.undo(), "", "Undo"),
      this.button("↷", "Z", () => this.acts.redo(), "", "Redo"),
      this.button("Confirm", "Enter", () => this.acts.confirm(), "confirm"),
      this.button("Confirm the rest", "⇧Enter", () => this.acts.confirmRest(), "confirm rest"),
    );
  }

  button(words, key, act, kind = "", label = null) {
    const cap = key ? keycap(key === "Enter" ? "↵" : key === "⇧Enter" ? "⇧↵" : key) : null;
    cap?.setAttribute("aria-hidden", "true");
    return make(
      "button",
      { type: "button", class: `act ${kind}`, "aria-label": label, title: label, onclick: act, onpointerdown: (event) => event.preventDefault() },
      make("span", {}, words), cap,
    );
  }

  /** Show which classes the focused image has. */
  drawPressed(answer) {
    const classes = answer?.kind === "label" ? answer.classes : [];
    for (const button of $("bar-classes").querySelectorAll("[data-name]")) {
      button.setAttribute("aria-pressed", String(classes.includes(button.dataset.name)));
    }
  }

  drawSaved(outbox) {
    const n = outbox.waiting.size;
    const state = outbox.trouble ?? (n ? "saving" : "saved");
    $("saved").dataset.state = state;
    $("saved-words").textContent = {
      saved: "All saved",
      saving: `Saving ${n.toLocaleString("en")}`,
      away: n ? `No server: ${n.toLocaleString("en")} kept here` : "No server",
      stranger: n ? `Not let in: ${n.toLocaleString("en")} kept here` : "Not let in",
    }[state];
  }
}

/** A class may have any name, "constructor" too. */
function countOf({ classes }, name) {
  return Object.hasOwn(classes, name) ? classes[name] : { total: 0, open: 0 };
}

function left(minutes) {
  if (minutes < 1) return "under a minute";
  if (minutes < 90) return `${Math.round(minutes)} min`;
  return `${(minutes / 60).toFixed(1)} h`;
}
