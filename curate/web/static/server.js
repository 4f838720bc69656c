// Asking the server. Three ways to fail, told apart because they end differently:
// it is away (try again), it does not know this browser (open the link), it refuses (our fault).

export class Away extends Error {}
export class Stranger extends Error {}
export class Refused extends Error {
  constructor(status, told) {
    super(told.error ?? `the server answered ${status}`);
    this.status = status;
    this.told = told;
  }
}

const TIMEOUT_MS = 20000;

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...options,
    });
  } catch {
    throw new Away("the server does not answer");
  }
  if (answer.status === 403) throw new Stranger("this browser's session has ended");
  if (answer.status >= 500) throw new Away("the server cannot answer now");
  let told;
  try {
    told = await answer.json();
  } catch {
    throw new Away("the answer was cut off");
  }
  if (!answer.ok) throw new Refused(answer.status, told);
  return told;
}

export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const text = new URLSearchParams(given).toString();
  return ask(text ? `${path}?${text}` : path);
}

export function post(path, body) {
  return ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}
