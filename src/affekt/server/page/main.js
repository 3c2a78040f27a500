// The page put together.

import { Column } from "./column.js";
import { Dials } from "./dials.js";
import { difference } from "./compare.js";
import { EXAMPLES } from "./examples.js";
import { eventLine, listMonitors } from "./guard.js";
import { AffectMap } from "./map.js";
import { trace } from "./trace.js";
import { signed } from "./colour.js";
import * as wire from "./wire.js";

const $ = (id) => document.getElementById(id);
const dials = new Dials($("dials"));
const columns = new Map();
let messages = [], known = null, emotions = new Set(), map = null, running = null, pair = [], drawn = 0, cost = 0;

async function start() {
  try {
    known = await wire.get("/v1/emotions");
  } catch (error) {
    $("model").textContent = error.message;
    return;
  }
  const names = known.concepts.map(({ name }) => name);
  emotions = new Set(known.concepts.filter(({ kind }) => kind === "emotion").map(({ name }) => name));
  $("model").textContent = `${known.model} · ${emotions.size} emotions, read at layer ${known.read_layer}`;
  $("model").title = $("model").textContent;
  $("concepts").replaceChildren(...names.map((name) => new Option(name)));
  if (!names.includes($("concept").value)) $("concept").value = names[0];
  dials.most = known.max_dial;
  dials.clear();
  if (known.max_dial > 0) ["calm", "desperate", "happy"].filter((name) => names.includes(name)).forEach((n) => dials.add(n));
  else $("dials").textContent = "This key may not steer: emotion_bias is not allowed.";
  for (const control of [$("new-dial"), $("add-dial"), $("zero"), $("compare")]) control.disabled = known.max_dial === 0;
  listMonitors($("monitors"), known.monitors);
  map = new AffectMap($("map"), known.concepts);
  examples(names);
  pictures();
  const past = await wire.get("/v1/events?limit=30");
  $("events").replaceChildren();
  past.data.forEach(tell);
  listen(past.data.at(-1)?.id ?? 0);
}

let listening = 0;
async function listen(after) {
  const own = ++listening;
  try {
    for await (const event of wire.events("/v1/events/stream")) {
      if (own !== listening) return;
      if (event.id > after) tell(event);
    }
  } catch {
    // The server went away; the next message says so.
  }
}

function examples(names) {
  const fitting = EXAMPLES.filter(({ bias, concept }) => [...Object.keys(bias), concept].every((name) => names.includes(name)));
  $("examples").replaceChildren(...fitting.map((example) => {
    const button = document.createElement("button");
    button.type = "button";
    const said = Object.entries(example.bias).map(([name, value]) => `${name} ${signed(value)}`).join(", ");
    const words = document.createElement("span"), bias = document.createElement("small");
    words.textContent = example.text;
    bias.textContent = said;
    button.append(words, bias);
    button.addEventListener("click", () => begin(example));
    return button;
  }));
}

function begin({ text, bias, concept }) {
  dials.zero();
  for (const [name, value] of Object.entries(bias)) dials.add(name, Math.sign(value) * Math.min(Math.abs(value), known.max_dial));
  $("compare").checked = true;
  choose(concept);
  $("prompt").value = text;
  send();
}

function tell(event) {
  $("events").prepend(eventLine(event, reveal));
}

// Shows where an event happened: in the chat if its reply is there, else in its own heat map.
function reveal(event, strip) {
  const column = columns.get(event.request);
  const watched = event.concepts?.[0];
  if (watched && emotions.has(watched)) choose(watched);
  if (column && !column.said) {
    column.element.scrollIntoView({ block: "center" });
    column.written.focus(event.token ?? 0);
  } else if (strip) {
    strip.focus((event.token ?? 0) - event.heat.first);
  }
}

function choose(concept) {
  $("concept").value = concept;
  columns.forEach((column) => column.recolour(concept));
  if (pair.length) pictures();
}

function turn(who, ...content) {
  const block = document.createElement("div");
  block.className = `turn ${who}`;
  const label = document.createElement("div");
  label.className = "who";
  label.textContent = who === "user" ? "you" : known.model;
  block.append(label, ...content);
  $("log").append(block);
  return block;
}

async function write(column, bias) {
  const axes = known.concepts.some(({ place }) => place) ? ["valence", "arousal"] : [];
  const body = {
    messages,
    max_tokens: Number($("tokens").value),
    temperature: Number($("temperature").value),
    seed: Number($("seed").value),
    emotions: ["top-999", ...axes],
    ...(Object.keys(bias).length ? { emotion_bias: bias } : {}),
  };
  try {
    for await (const choice of wire.chat(body, running.signal)) {
      if (choice.delta.content) column.add(choice.delta.content, choice.affekt?.z);
      if (choice.finish_reason) {
        column.finish(choice.finish_reason, choice.affekt ?? {});
        (choice.affekt?.events ?? []).forEach((event) => columns.set(event.request, column));
      }
      pictures(!choice.finish_reason);
    }
  } catch (error) {
    column.fail(error.name === "AbortError" ? "stopped" : error.message);
  }
}

// Pictures cost more than tokens: while a reply is written at most four a second, and on a slow machine only
// in a fifth of the time.
function pictures(busy = false) {
  const now = performance.now();
  if (busy && now - drawn < Math.max(250, 5 * cost)) return;
  const tokens = pair.at(-1)?.tokens ?? [];
  trace($("trace"), tokens, known.monitors, emotions, $("concept").value);
  map.draw(pair);
  drawn = performance.now();
  cost = drawn - now;
  $("log").scrollTop = $("log").scrollHeight;
  const z = tokens.at(-1)?.z;
  if (z?.valence !== undefined) $("now").textContent = `Last token: valence ${signed(z.valence)}, arousal ${signed(z.arousal)}. Lines are means over five tokens.`;
}

async function send() {
  const text = $("prompt").value.trim();
  if (!text || running || !known) return;
  running = new AbortController();
  $("empty").hidden = true;
  $("send").disabled = true;
  $("stop").disabled = false;
  $("prompt").value = "";
  messages.push({ role: "user", content: text });
  const words = document.createElement("div");
  words.className = "words";
  words.textContent = text;
  turn("user", words);
  const bias = dials.bias, chosen = $("concept").value;
  const named = Object.entries(bias).map(([name, value]) => `${name} ${signed(value)}`).join(", ");
  const own = new Column(named || "without bias", chosen);
  pair = $("compare").checked && named ? [new Column("without bias", chosen), own] : [own];
  own.element.classList.toggle("biased", Boolean(named));
  pair.forEach((column) => columns.set(column, column));
  const side = document.createElement("div");
  side.className = "columns";
  side.append(...pair.map(({ element }) => element));
  const block = turn("assistant", side);
  await Promise.all(pair.map((column) => write(column, column === own ? bias : {})));
  const changed = pair.length === 2 && difference(...pair, emotions);
  if (changed) block.append(changed);
  messages.push({ role: "assistant", content: own.text });
  running = null;
  pictures();
  $("send").disabled = false;
  $("stop").disabled = true;
  $("prompt").focus({ preventScroll: true });
}

function reset() {
  running?.abort();
  messages = [];
  pair = [];
  columns.clear();
  $("log").querySelectorAll(".turn").forEach((block) => block.remove());
  $("empty").hidden = false;
  if (known) pictures();
}

function addDial() {
  const name = $("new-dial").value.trim();
  if (!known?.concepts.some((concept) => concept.name === name)) return;
  dials.add(name, known.max_dial / 2);
  $("new-dial").value = "";
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); send(); }
});
$("stop").addEventListener("click", () => running?.abort());
$("reset").addEventListener("click", reset);
$("concept").addEventListener("change", () => { if (known?.concepts.some(({ name }) => name === $("concept").value)) choose($("concept").value); });
$("concept").addEventListener("focus", () => $("concept").select());
$("numbers").addEventListener("change", () => $("log").classList.toggle("numbered", $("numbers").checked));
$("add-dial").addEventListener("click", addDial);
$("new-dial").addEventListener("keydown", (event) => { if (event.key === "Enter") addDial(); });
$("zero").addEventListener("click", () => dials.zero());
$("key").addEventListener("change", start);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && running) running.abort(); });
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => known && pictures());
start();
