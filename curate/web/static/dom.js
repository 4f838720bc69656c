// Making and finding elements. Text goes in as text only: nothing here takes HTML.

export const $ = (id) => document.getElementById(id);

/** Make an element: `make("button", {class: "x", type: "button"}, "Text", child)`. */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A key as it stands on a keyboard. */
export function keycap(key) {
  const capital = key.length === 1 && key !== key.toLowerCase();
  return make("kbd", {}, capital ? `⇧${key}` : key);
}

/** Say something to whoever listens instead of looking. */
export function say(text) {
  $("live").textContent = text;
}

export function plural(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** The words for some classes. */
export function named(classes) {
  return classes.length ? classes.join(" + ") : "none of these";
}

/** A colour that a class keeps, by its place in the list. */
export function hue(place) {
  return place < 0 ? null : Math.round((165 + place * 137.508) % 360);
}
