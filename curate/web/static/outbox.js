// Decisions on their way to the server. Each is put into IndexedDB before anything else happens
// to it, and taken out only when the server has answered that it is on the disk: a reload, a
// crash or a server that is away loses nothing. Sending one twice does no harm, for the server
// knows its key; so any window may send what another has left behind, one window at a time.

import { Away, Refused, Stranger, post } from "./server.js";

const BATCH = 200;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

export class Outbox extends EventTarget {
  /**
   * @param project the project's id, under which the server finds its own work again
   * @param annotator whose decisions these are: nobody else's session sends them
   */
  constructor(project, annotator) {
    super();
    this.project = project;
    this.annotator = annotator;
    this.waiting = new Map(); // key -> decision, as far as this window knows
    this.storing = new Set(); // keys that are on their way into the store
    this.loose = new Fleeting(); // what the store could not take
    this.trouble = null; // null, "away" or "stranger"
    this.wait = FIRST_WAIT_MS;
    this.timer = null;
    this.sending = false;
    this.queue = () => "";
    this.channel = new BroadcastChannel(`curate-audit-${project}-${annotator}`);
    this.channel.onmessage = ({ data }) => this.settle(data);
  }

  async open() {
    this.store = await openStore();
    this.kept = this.store.kept;
    for (const each of await this.store.all(this.project, this.annotator)) {
      this.waiting.set(each.key, each);
    }
    this.others = await this.store.othersOf(this.project, this.annotator);
  }

  /** The newest decision about an image that is not known to be saved. */
  latest(image) {
    let found = null;
    for (const each of this.waiting.values()) if (each.image_id === image) found = each;
    return found;
  }

  holds(image) {
    return this.latest(image) !== null;
  }

  /** Keep decisions and begin to send them; resolves when they are kept. */
  async add(decisions) {
    for (const each of decisions) {
      this.waiting.set(each.key, each);
      this.storing.add(each.key);
    }
    this.tell();
    const { project, annotator } = this;
    const rows = decisions.map((each) => ({ ...each, project, annotator }));
    try {
      await this.store.put(rows);
    } catch {
      await this.loose.put(rows);
      this.report("This browser has no room to keep decisions: what is not saved is lost with a reload.");
    }
    for (const each of decisions) this.storing.delete(each.key);
    this.flush();
  }

  /** What is to be sent, oldest first. */
  async stored() {
    const [kept, loose] = await Promise.all(
      [this.store, this.loose].map((store) => store.all(this.project, this.annotator)),
    );
    return [...kept, ...loose];
  }

  /** Resolves when nothing waits any more, or the server is away. */
  async settled() {
    while (this.waiting.size && !this.trouble) {
      await new Promise((resolve) => { this.addEventListener("change", resolve, { once: true }); });
    }
  }

  /** Send everything that waits. */
  async flush() {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    try {
      await alone(`curate-audit-${this.project}`, () => this.sendAll());
      this.trouble = null;
      this.wait = FIRST_WAIT_MS;
    } catch (error) {
      if (!(error instanceof Away || error instanceof Stranger)) this.report(String(error));
      this.trouble = error instanceof Stranger ? "stranger" : "away";
      this.why = error.message;
      this.timer = setTimeout(() => this.flush(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    } finally {
      this.sending = false;
      this.tell();
    }
    if (!this.trouble && this.waiting.size > this.storing.size) this.flush();
  }

  async sendAll() {
    for (;;) {
      const batch = (await this.stored()).slice(0, BATCH);
      if (!batch.length) {
        // Another window has sent the rest.
        for (const key of this.waiting.keys()) if (!this.storing.has(key)) this.waiting.delete(key);
        return;
      }
      await this.sendBatch(batch);
    }
  }

  async sendBatch(batch) {
    let told;
    try {
      told = await post("/api/decisions", {
        decisions: batch.map(outgoing),
        annotator: this.annotator,
        queue: this.queue(),
      });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 409) throw new Stranger(`this browser is ${error.told.annotator}'s now`);
      if (batch.length > 1) {
        for (const each of batch) await this.sendBatch([each]);
        return;
      }
      told = {
        results: [{ key: batch[0].key, status: "refused", why: error.message }],
        tiles: [],
        last: 0,
        refused: batch[0].image_id,
      };
    }
    const numbers = batch.map((each) => each.seq);
    await this.store.remove(numbers.filter((number) => number > 0));
    await this.loose.remove(numbers);
    this.settle(told);
    this.channel.postMessage(told);
  }

  /** The server has answered, here or in another window. */
  settle(told) {
    for (const { key } of told.results) this.waiting.delete(key);
    this.dispatchEvent(new CustomEvent("saved", { detail: told }));
    this.tell();
  }

  report(text) {
    this.dispatchEvent(new CustomEvent("fault", { detail: text }));
  }

  tell() {
    this.dispatchEvent(new Event("change"));
  }
}

function outgoing({ seq, at, project, annotator, ...decision }) {
  return { ...decision, ago_s: Math.max(0, (Date.now() - at) / 1000) };
}

/** One window at a time, so that decisions arrive in the order in which they were made. */
function alone(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

async function openStore() {
  try {
    return new Kept(await openDatabase());
  } catch {
    return new Fleeting(); // the page warns: a reload would lose what is unsent
  }
}

function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("curate-audit", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("outbox", { keyPath: "seq", autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
}

class Kept {
  kept = true;

  constructor(database) {
    this.database = database;
  }

  run(mode, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction("outbox", mode, { durability: "strict" });
      const request = work(transaction.objectStore("outbox"));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  async all(project, annotator) {
    const rows = await this.run("readonly", (store) => store.getAll());
    return rows.filter((each) => each.project === project && each.annotator === annotator);
  }

  async othersOf(project, annotator) {
    const rows = await this.run("readonly", (store) => store.getAll());
    const others = rows.filter((each) => each.project === project && each.annotator !== annotator);
    return [...new Set(others.map((each) => each.annotator))];
  }

  put(rows) {
    return this.run("readwrite", (store) => {
      for (const row of rows) store.add(row);
    });
  }

  remove(numbers) {
    return this.run("readwrite", (store) => {
      for (const number of numbers) store.delete(number);
    });
  }
}

/** Rows in memory; their numbers are negative, so as not to be taken for kept ones. */
class Fleeting {
  kept = false;
  rows = [];
  seq = 0;

  async all(project, annotator) {
    return this.rows.filter((each) => each.project === project && each.annotator === annotator);
  }

  async othersOf() {
    return [];
  }

  async put(rows) {
    this.rows.push(...rows.map((row) => ({ ...row, seq: --this.seq })));
  }

  async remove(numbers) {
    this.rows = this.rows.filter((row) => !numbers.includes(row.seq));
  }
}
