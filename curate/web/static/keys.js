// Which key does what. Digits and capital letters are for classes, small letters for the images
// of a page, so that two presses correct any image. The keys of classes can be changed and are
// kept in this browser.

const FIXED = "fnuvxz";
/** Small letters, those that are easiest to reach first. */
const LETTERS = [..."asdghjklqwertyiopcbm"];

export class Keys {
  constructor(project, classes) {
    this.place = `curate-audit-keys-${project}`;
    this.classes = classes;
    this.own = read(this.place);
    this.assign();
  }

  assign() {
    this.byKey = new Map();
    this.byClass = new Map();
    const take = (name, key) => {
      if (!key || this.byKey.has(key) || this.byClass.has(name)) return false;
      this.byKey.set(key, name);
      this.byClass.set(name, key);
      return true;
    };
    const known = new Set(this.classes);
    for (const [name, key] of Object.entries(this.own)) if (known.has(name)) take(name, key);
    this.classes.slice(0, 9).forEach((name, place) => take(name, String(place + 1)));
    for (const name of this.classes) {
      if (this.byClass.has(name)) continue;
      const letters = [...name.toUpperCase(), ..."ABCDEFGHIJKLMNOPQRSTUVWXY"];
      const free = letters.find((each) => /^[A-Y]$/.test(each) && !this.byKey.has(each));
      if (!free) break;
      take(name, free);
    }
  }

  /** The class of a key; undefined if it has none. */
  classOf(key) {
    return this.byKey.get(key);
  }

  keyOf(name) {
    return this.byClass.get(name) ?? "";
  }

  /** Letters of the images of a page, in order. */
  letters() {
    return LETTERS.filter((each) => !this.byKey.has(each));
  }

  /** Give a class a key; returns why not, or an empty text. */
  set(name, key) {
    if (!/^[1-9A-Ya-y]$/.test(key)) return "a digit from 1 to 9, or a letter but z";
    if (FIXED.includes(key)) return `${key} is taken: ${FIXED_MEANING[key]}`;
    const other = this.byKey.get(key);
    if (other !== undefined && other !== name) {
      const mine = this.byClass.get(name);
      if (mine) this.own[other] = mine;
      else delete this.own[other];
    }
    this.own[name] = key;
    localStorage.setItem(this.place, JSON.stringify(this.own));
    this.assign();
    return "";
  }

  reset() {
    this.own = {};
    localStorage.removeItem(this.place);
    this.assign();
  }
}

const FIXED_MEANING = {
  f: "filters",
  n: "none of these",
  u: "unsure",
  v: "view large",
  x: "does not belong",
  z: "undo",
};

/** The key of an event as classes have it: the letter's case says whether Shift was held. */
export function pressed(event) {
  // A letter that is not Latin (Cyrillic, Arabic …) stands for the one in its place.
  const place = /^Key([A-Z])$/.exec(event.code ?? "");
  const key = place && /^[^\x00-\x7f]$/u.test(event.key) ? place[1] : event.key;
  if (key.length !== 1 || !/[a-z]/i.test(key)) return key;
  return event.shiftKey ? key.toUpperCase() : key.toLowerCase();
}

function read(place) {
  try {
    const found = JSON.parse(localStorage.getItem(place) ?? "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}
