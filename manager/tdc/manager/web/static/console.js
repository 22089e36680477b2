// Changing values in place, by one event stream for each page. The pages work without it.
// It sets text and class names only: what machines wrote is never markup.

const EVERY_WORD = 15_000; // at most one spoken sentence in this time
const GREY_AFTER = 30_000; // values are unknown when nothing was heard for so long

const cells = new Map();
for (const each of document.querySelectorAll("[data-cell]")) {
  const name = each.dataset.cell;
  cells.set(name, [...(cells.get(name) ?? []), each]);
}

const asOf = document.getElementById("as-of");
const state = document.getElementById("live-state");
const word = document.getElementById("live-word");
const pause = document.getElementById("pause");

let source = null;
let heard = Date.now();
let paused = false;
let first = true;
let waiting = new Map();
let spoken = 0;
let toSay = 0;

function show(name, [text, look]) {
  for (const each of cells.get(name) ?? []) {
    if (each.textContent === text && each.classList.contains(`s-${look}`) === Boolean(look)) continue;
    each.textContent = text;
    each.className = look ? `cell s-${look}` : "cell";
    if (first) continue;
    void each.offsetWidth; // so that the next animation begins anew
    each.classList.add("changed");
  }
}

function say(text) {
  if (word !== null) word.textContent = text;
}

function live(text) {
  if (state !== null) state.textContent = text;
}

function arrived(event) {
  const { at, cells: changed } = JSON.parse(event.data);
  heard = Date.now();
  document.body.classList.remove("stale");
  if (paused) {
    for (const [name, value] of Object.entries(changed)) waiting.set(name, value);
    live(`, paused: ${waiting.size} values wait`);
    return;
  }
  if (asOf !== null) asOf.textContent = at;
  live(", live");
  for (const [name, value] of Object.entries(changed)) show(name, value);
  toSay += first ? 0 : Object.keys(changed).length;
  first = false;
  if (toSay && Date.now() - spoken > EVERY_WORD) {
    spoken = Date.now();
    say(`${toSay} values have changed.`);
    toSay = 0;
  }
}

function ended(event) {
  source.close();
  source = null;
  const { reason } = JSON.parse(event.data);
  document.body.classList.add("stale");
  live(`, not live: ${reason}`);
  say(`This page is not live any more. ${reason}`);
}

function lost() {
  live(", not live: the manager does not answer; it is asked again");
  if (source !== null && source.readyState === EventSource.CLOSED) {
    source = null;
    window.setTimeout(begin, 5_000 + 5_000 * Math.random());
  }
}

function begin() {
  if (source !== null || document.hidden) return;
  source = new EventSource(document.body.dataset.live);
  source.addEventListener("cells", arrived);
  source.addEventListener("ended", ended);
  source.addEventListener("error", lost);
}

function hidden() {
  // A tab that nobody sees needs no stream: browsers open few connections to one host.
  if (!document.hidden) begin();
  else if (source !== null) {
    source.close();
    source = null;
  }
}

function pauseOrGoOn() {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) {
    live(", paused");
    return;
  }
  for (const [name, value] of waiting) show(name, value);
  waiting = new Map();
  live(", live");
}

if (document.body.dataset.live) {
  begin();
  document.addEventListener("visibilitychange", hidden);
  if (pause !== null) {
    pause.hidden = false;
    pause.addEventListener("click", pauseOrGoOn);
  }
  window.setInterval(() => {
    if (Date.now() - heard > GREY_AFTER) document.body.classList.add("stale");
  }, 5_000);
}

// A value that is typed is meant to be set.
for (const each of document.querySelectorAll("[data-sets]")) {
  each.addEventListener("input", () => {
    const name = `mode.${each.dataset.sets}`;
    const radio = document.querySelector(`input[name="${CSS.escape(name)}"][value="set"]`);
    if (radio !== null) radio.checked = true;
  });
}

// The summary of what is wrong has the focus.
document.querySelector('[role="alert"]')?.focus();
