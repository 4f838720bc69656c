// One picture at a time: show it, send it, list what the model says. Text only ever as text.

const SHOWN = 10;
const find = (id) => document.getElementById(id);
const drop = find("drop");
const said = find("said");
const preview = find("preview");
let newest = 0;

async function introduce() {
  const health = await (await fetch("/health")).json();
  const many = health.classes === 1 ? "class" : "classes";
  find("model").textContent =
    `${health.model} · ${health.classes.toLocaleString("en")} ${many} · ${health.sha256.slice(0, 12)}`;
}

function tell(text, isBad = false) {
  said.textContent = text;
  said.classList.toggle("bad", isBad);
}

function show(scores) {
  const body = find("scores").tBodies[0];
  body.replaceChildren();
  for (const [name, score] of Object.entries(scores).sort((a, b) => b[1] - a[1]).slice(0, SHOWN)) {
    const row = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    const meter = document.createElement("meter");
    meter.value = score;
    row.append(head);
    row.insertCell().append(meter);
    const cell = row.insertCell();
    cell.className = "score";
    cell.textContent = score.toFixed(3);
  }
  find("scores").hidden = false;
}

async function score(file) {
  const turn = ++newest;
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.alt = file.name;
  preview.hidden = false;
  find("ask").textContent = file.name;
  find("scores").hidden = true;
  tell("Asking the model …");
  const form = new FormData();
  form.append("file", file);
  try {
    const began = performance.now();
    const answer = await fetch("/scorefile/", { method: "POST", body: form });
    const document_ = await answer.json();
    if (turn !== newest) return;
    if (!answer.ok) {
      tell(`Refused (${document_.error.kind}): ${document_.error.message}`, true);
      return;
    }
    show(document_);
    tell(`Answered in ${Math.round(performance.now() - began)} ms`);
  } catch {
    if (turn === newest) tell("The server did not answer.", true);
  }
}

function take(files) {
  if (files && files.length > 0) score(files[0]);
}

find("file").addEventListener("change", (event) => take(event.target.files));
preview.addEventListener("error", () => { preview.hidden = true; });
drop.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    find("file").click();
  }
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
introduce().catch(() => tell("The server did not answer.", true));
