// The page: puts its parts together, and says what each key does.

import { Bar } from "./bar.js";
import { Clock } from "./clock.js";
import { Help, Palette, Zoom } from "./dialogs.js";
import { $, named, plural, say } from "./dom.js";
import { Keys, pressed } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Away, Stranger, get } from "./server.js";
import { Steps } from "./steps.js";
import { Tiles } from "./tiles.js";
import { PAGES_AHEAD, Work } from "./work.js";

const FOLLOW_MS = 4000;
const AGAIN_MS = 1000;

class Audit {
  constructor(info, outbox) {
    this.info = info;
    this.outbox = outbox;
    this.clock = new Clock();
    this.keys = new Keys(info.project, info.classes);
    const steps = new Steps(`curate-audit-steps-${info.project}-${info.annotator}`);
    this.work = new Work(info, outbox, steps, this.clock);
    this.tiles = new Tiles(this.work, this.keys, (image) => this.look(image));
    this.bar = new Bar(this.work, this.keys, this.clock, this);
    this.zoom = new Zoom(this.work, () => this.tiles.focus(this.tiles.focused));
    this.palette = new Palette((name) => this.choose(name));
    this.help = new Help(this.keys, info.classes, () => {
      this.bar.drawButtons();
      this.tiles.draw();
    });
    this.listen();
  }

  listen() {
    const { work, outbox, bar, tiles } = this;
    work.addEventListener("page", () => this.drawPage());
    work.addEventListener("ahead", () => { bar.drawHeading(); this.preload(); });
    work.addEventListener("tiles", () => { tiles.updateAll(); this.drawFocus(); bar.drawCounts(); });
    work.addEventListener("counts", () => bar.drawCounts());
    work.addEventListener("focus", () => this.drawFocus());
    work.addEventListener("list", () => notice("The list of classes has changed: reload this page to see it. What you decided is kept."));
    work.addEventListener("trouble", ({ detail }) => this.trouble(detail));
    outbox.addEventListener("change", () => bar.drawSaved(outbox));
    outbox.addEventListener("fault", ({ detail }) => notice(detail));
    outbox.addEventListener("change", () => {
      if (outbox.trouble === "stranger") this.trouble(new Stranger(outbox.why));
    });
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("online", () => outbox.flush());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) outbox.flush(); });
    setInterval(() => { if (!document.hidden && !outbox.trouble) work.follow(); }, FOLLOW_MS);
    $("help").addEventListener("click", () => this.help.open());
  }

  async begin() {
    $("who").textContent = this.info.annotator;
    document.title = `Audit · ${this.info.annotator}`;
    if (!this.outbox.kept) notice("This browser keeps nothing for this page: what is not saved is lost with a reload.");
    if (this.outbox.others.length) notice(`Unsent decisions of ${this.outbox.others.join(", ")} wait in this browser for their link.`);
    this.bar.drawSaved(this.outbox);
    await this.outbox.flush();
    await untilThere(() => this.work.show({}));
    this.bar.drawSaved(this.outbox);
  }

  drawPage() {
    this.tiles.draw(); this.bar.drawHeading(); this.bar.drawCounts();
    if (this.work.images.length) return;
    this.zoom.box.close();
    say($("empty-title").textContent);
  }

  /** Load the pictures of pages to come. */
  preload() {
    const { pages, at } = this.work;
    this.coming = pages.slice(at + 1, at + 1 + PAGES_AHEAD).flat().map((image) => {
      const picture = new Image();
      picture.src = `/thumb/${image}`;
      return picture;
    });
  }

  drawFocus() {
    const tile = this.work.tile(this.tiles.focused);
    this.bar.drawPressed(tile ? this.work.answer(tile) : null);
    this.zoom.redraw();
  }

  trouble(error) {
    if (error instanceof Stranger) notice(`Not let in: ${error.message}. Open a link of ${this.info.annotator} that curate audit prints; what is decided meanwhile is kept here.`);
    else notice(error.message);
  }

  // What keys and buttons do

  get tile() {
    return this.work.tile(this.tiles.focused);
  }

  decide(kind, classes, words) {
    const { tile } = this;
    if (!tile) return;
    this.work.decide([[tile.image_id, kind, classes]]);
    this.after(words);
  }

  after(words) {
    const left = this.work.images.filter((image) => this.work.isOpen(this.work.tile(image))).length;
    say(`${words}. ${left ? `${left} left on this page` : "Page done, Enter goes on"}.`);
    const went = this.tiles.advance();
    if (this.zoom.isOpen && went) this.zoom.show(this.tiles.focused);
  }

  choose(name) {
    const { tile } = this;
    if (!tile) return;
    if (this.info.exclusive) {
      this.decide("label", [name], name);
      return;
    }
    // What is typed first says what the image shows; what follows adds or takes away.
    const has = tile.mine?.kind === "label" ? tile.mine.classes : [];
    const classes = has.includes(name) ? has.filter((each) => each !== name) : [...has, name];
    this.work.decide([[tile.image_id, "label", classes]]);
    say(named(classes));
  }

  none() {
    this.decide("label", [], "None of these");
  }

  unsure() {
    this.decide("unsure", null, "Unsure");
  }

  reject() {
    this.decide("reject", null, "Does not belong");
  }

  /** Confirm what the focused image says; on a finished page, go on. */
  confirm() {
    const { tile } = this;
    if (!tile) return;
    if (!this.work.isOpen(tile)) {
      if (!this.tiles.advance()) this.next();
      else if (this.zoom.isOpen) this.zoom.show(this.tiles.focused);
      return;
    }
    const answer = this.work.answer(tile);
    if (!answer) {
      say("Nothing is proposed: press the key of a class, or 0 for none of them");
      this.nudge();
      return;
    }
    this.decide(answer.kind, answer.classes, answer.kind === "label" ? `Confirmed ${named(answer.classes)}` : "Confirmed");
  }

  /** Confirm all images of the page that are not decided, and go on. */
  async confirmRest() {
    const open = this.work.images.map((image) => this.work.tile(image)).filter((tile) => this.work.isOpen(tile));
    if (this.tiles.scrollToUnseen(open.map((tile) => tile.image_id))) {
      say("There is more below that has not been on the screen: look at it, then confirm the rest");
      return;
    }
    const [sure, bare] = [[], []];
    for (const tile of open) {
      const isReady = this.work.answer(tile) && !this.tiles.isGone(tile.image_id);
      (isReady ? sure : bare).push(tile);
    }
    this.work.decide(
      sure.map((tile) => {
        const { kind, classes } = this.work.answer(tile);
        return [tile.image_id, kind, classes];
      }),
      "page",
    );
    if (bare.length) {
      say(`${plural(bare.length, "image")} with nothing proposed, or no picture: press the key of a class, or 0`);
      this.tiles.focus(bare[0].image_id);
      this.nudge();
      return;
    }
    say(`${plural(sure.length, "image")} confirmed`);
    await this.next();
  }

  nudge() {
    const element = this.tiles.elements.get(this.tiles.focused);
    element?.classList.remove("nudge");
    requestAnimationFrame(() => element?.classList.add("nudge"));
  }

  async next() {
    await this.turn(() => this.work.next(), async () => {
      // The end: what is left, if anything, was passed over.
      if (this.work.view.state === "open") {
        await this.outbox.settled();
        await this.work.show({});
      }
      else say("This is the last page");
    });
  }

  async previous() {
    await this.turn(() => this.work.previous(), async () => say("This is the first page"));
  }

  /** Turn the page, once at a time; without the server, say so. */
  async turn(go, atEnd) {
    if (this.turning) return;
    this.turning = true;
    try {
      if (!(await go())) await atEnd();
      if (this.zoom.isOpen && this.tiles.focused) this.zoom.show(this.tiles.focused);
      this.preload();
    } catch (error) {
      this.lost(error);
    } finally {
      this.turning = false;
    }
  }

  /** Show something else; without the server, stay, and say so. */
  async show(view) {
    try {
      await this.work.show(view);
    } catch (error) {
      this.bar.drawHeading();
      this.lost(error);
    }
  }

  async resize(size) {
    this.work.size = size;
    localStorage.setItem("curate-audit-size", String(size));
    await this.show({});
  }

  lost(error) {
    if (error instanceof Away) {
      notice("The server does not answer. What you decided is kept here and sent when it is back; then other images can be shown.");
    } else this.trouble(error);
  }

  async undo() {
    this.back(this.work.undo(), "Undone", "Nothing to undo");
  }

  async redo() {
    this.back(await this.work.redo(), "Done again", "Nothing to redo");
  }

  async back(images, done, nothing) {
    if (!images) {
      say(nothing);
      return;
    }
    const there = await this.work.goTo(images[0]);
    if (there) this.tiles.focus(images[0]);
    say(`${done}: ${plural(images.length, "decision")}${there ? "" : ", not on the pages shown"}`);
    if (!there) notice(`${done}: ${plural(images.length, "decision")} on a page that is not shown now.`);
    if (this.zoom.isOpen && there) this.zoom.show(images[0]);
  }

  look(image = this.tiles.focused) {
    if (this.zoom.isOpen) this.zoom.box.close();
    else if (image) this.zoom.show(image);
  }

  openPalette() {
    if (!this.tile) return;
    const { closed, classes } = this.info;
    // What somebody typed as a new class is there to be chosen, too.
    const said = closed ? [] : Object.keys(this.work.counts?.classes ?? {}).filter(Boolean);
    this.palette.open([...new Set([...classes, ...said])], !closed);
  }

  // Keys

  key(event) {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    const key = pressed(event);
    if (event.ctrlKey || event.metaKey) {
      if (key.toLowerCase() !== "z" || isTyping(event.target)) return;
    } else if (this.leaves(event, key)) return;
    const act = this.actOf(key, event);
    if (!act) return;
    event.preventDefault();
    if (event.repeat && !key.startsWith("Arrow")) return;
    act();
  }

  /** Whether a key belongs to what is focused, not to the page. */
  leaves(event, key) {
    const { target } = event;
    if ($("keys").open || $("palette").open) return true;
    if (key === "Escape" && !this.zoom.isOpen && isControl(target)) {
      this.tiles.focus(this.tiles.focused);
      return true;
    }
    if (isTyping(target)) return true;
    return isControl(target) && (key === "Enter" || key === " " || key === "Tab");
  }

  actOf(key, event) {
    if (key === "Enter" && event.shiftKey) return () => this.confirmRest();
    const fixed = {
      Enter: () => this.confirm(),
      " ": () => this.confirm(),
      0: () => this.none(),
      n: () => this.none(),
      u: () => this.unsure(),
      x: () => this.reject(),
      z: () => this.undo(),
      Z: () => this.redo(),
      v: () => this.look(),
      f: () => $("filter-state").focus(),
      "/": () => this.openPalette(),
      "?": () => this.help.open(),
      PageDown: () => this.next(),
      ".": () => this.next(),
      PageUp: () => this.previous(),
      ",": () => this.previous(),
    }[key];
    if (fixed) return fixed;
    if (/^(Arrow|Home|End)/.test(key)) {
      return () => {
        this.tiles.move(key);
        if (this.zoom.isOpen) this.zoom.show(this.tiles.focused);
      };
    }
    const name = this.keys.classOf(key);
    if (name !== undefined) return () => this.choose(name);
    const image = this.tiles.letters?.get(key);
    if (!image) return null;
    return () => {
      this.tiles.focus(image);
      if (this.zoom.isOpen) this.zoom.show(image);
    };
  }
}

function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}

function isControl(target) {
  return target instanceof HTMLButtonElement || isTyping(target) || target instanceof HTMLAnchorElement;
}

function notice(text) {
  $("notice-words").textContent = text;
  $("notice").hidden = false;
}

function setUpTheme() {
  const root = document.documentElement;
  const kept = localStorage.getItem("curate-audit-theme");
  if (kept) root.dataset.theme = kept;
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("curate-audit-theme", root.dataset.theme);
  });
  $("notice-close").addEventListener("click", () => { $("notice").hidden = true; });
}

/** Begin, as soon as there is a server to begin with. */
async function main() {
  setUpTheme();
  const info = await untilThere(() => get("/api/start"));
  const outbox = new Outbox(info.project, info.annotator);
  await outbox.open();
  // One only: a second would listen to the same keys, and decide everything twice.
  await new Audit(info, outbox).begin();
  document.body.dataset.ready = "true";
}

/** Ask until the server answers. */
async function untilThere(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Away)) {
        notice(error.message);
        throw error;
      }
      $("saved").dataset.state = "away";
      $("saved-words").textContent = "No server";
      await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
    }
  }
}

main();
