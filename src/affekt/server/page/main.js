// The page put together.

import { Column } from "./column.js";
import { Dials } from "./dials.js";
import { trace, AffectMap } from "./pictures.js";
import { signed } from "./colour.js";
import * as wire from "./wire.js";

const $ = (id) => document.getElementById(id);
const dials = new Dials($("dials"));
const columns = new Map();
let messages = [], known = null, map = null, running = null, drawn = 0;

async function start() {
  try {
    known = await wire.get("/v1/emotions");
  } catch (error) {
    $("model").textContent = error.message;
    return;
  }
  $("model").textContent = `${known.model} · ${known.concepts.length} concepts, read at layer ${known.read_layer}`;
  $("concepts").replaceChildren(...known.concepts.map(({ name }) => new Option(name)));
  const names = known.concepts.map(({ name }) => name);
  if (!names.includes($("concept").value)) $("concept").value = names[0];
  dials.most = known.max_dial;
  if (known.max_dial > 0) ["calm", "desperate", "happy"].filter((name) => names.includes(name)).forEach((n) => dials.add(n));
  else $("dials").textContent = "this server does not allow emotion_bias";
  $("monitors").replaceChildren(...known.monitors.map((monitor) => {
    const line = document.createElement("li");
    const side = monitor.direction === "above" ? "over" : "under";
    line.textContent = `${monitor.name}: ${monitor.action} ${side} z ${monitor.threshold.toFixed(2)}`;
    return line;
  }));
  if (!known.monitors.length) $("monitors").textContent = "No policy: nothing is guarded.";
  map = new AffectMap($("map"), known.concepts);
  trace($("trace"), [], known.monitors);
  const past = await wire.get("/v1/events?limit=20");
  past.data.forEach(tell);
  listen();
}

async function listen() {
  try {
    for await (const event of wire.events("/v1/events/stream")) tell(event);
  } catch {
    // The server went away; the next message says so.
  }
}

function tell(event) {
  const line = document.createElement("li");
  const show = document.createElement("button");
  show.type = "button";
  const at = event.token === null ? "the prompt's end" : `token ${event.token}`;
  show.textContent = `${event.time.slice(11, 19)} ${event.monitor}: z ${event.value?.toFixed(2)} at ${at}, ${event.action}`;
  show.addEventListener("click", () => reveal(event));
  line.append(show);
  $("events").prepend(line);
}

// The token heat map of the reply that an event is of, if it was written on this page.
function reveal(event) {
  const column = columns.get(event.request);
  if (!column) return;
  const watched = known.monitors.find(({ name }) => name === event.monitor)?.what;
  if (typeof watched === "string" && !["valence", "arousal"].includes(watched)) choose(watched);
  (column.tokens[event.token ?? 0]?.span ?? column.words).focus();
  column.element.scrollIntoView({ block: "center" });
}

function choose(concept) {
  $("concept").value = concept;
  columns.forEach((column) => column.recolour(concept));
}

function turn(who, ...content) {
  const block = document.createElement("div");
  block.className = `turn ${who}`;
  const label = document.createElement("div");
  label.className = "who";
  label.textContent = who;
  block.append(label, ...content);
  $("log").append(block);
  block.scrollIntoView({ block: "end" });
}

function wanted() {
  const names = known.concepts.map(({ name }) => name);
  const watched = known.monitors.map(({ what }) => what).filter((what) => names.includes(what));
  const axes = known.concepts.some(({ place }) => place) ? ["valence", "arousal"] : [];
  const concept = names.includes($("concept").value) ? [$("concept").value] : [];
  return [...new Set([...concept, ...watched, ...dials.values.keys(), "top-8", ...axes])];
}

async function write(column, bias, live) {
  const body = {
    messages,
    max_tokens: Number($("tokens").value),
    temperature: Number($("temperature").value),
    seed: Number($("seed").value),
    emotions: wanted(),
    ...(Object.keys(bias).length ? { emotion_bias: bias } : {}),
  };
  try {
    for await (const choice of wire.chat(body, running.signal)) {
      if (choice.delta.content) column.add(choice.delta.content, choice.affekt?.z);
      if (choice.finish_reason) {
        column.finish(choice.finish_reason, choice.affekt ?? {});
        (choice.affekt?.events ?? []).forEach((event) => columns.set(event.request, column));
      }
      if (live) picture(column, Boolean(choice.finish_reason));
    }
  } catch (error) {
    column.fail(error.name === "AbortError" ? "stopped" : error.message);
  }
}

// Pictures cost more than tokens: at most five a second, and one at the end.
function picture(column, last) {
  const now = performance.now();
  if (!last && now - drawn < 200) return;
  drawn = now;
  trace($("trace"), column.tokens, known.monitors);
  map.draw(column.tokens);
  const z = column.tokens.at(-1)?.z;
  if (z?.valence !== undefined) $("now").textContent = `last token: valence ${signed(z.valence)}, arousal ${signed(z.arousal)}`;
}

async function send() {
  const text = $("prompt").value.trim();
  if (!text || running || !known) return;
  running = new AbortController();
  $("send").disabled = true;
  $("stop").disabled = false;
  $("prompt").value = "";
  messages.push({ role: "user", content: text });
  const words = document.createElement("div");
  words.className = "words";
  words.textContent = text;
  turn("user", words);
  const bias = dials.bias;
  const named = Object.entries(bias).map(([name, value]) => `${name} ${signed(value)}`).join(", ");
  const own = new Column(named || "without bias", $("concept").value);
  const pair = $("compare").checked && named ? [new Column("without bias", $("concept").value), own] : [own];
  pair.forEach((column) => columns.set(column, column));
  const side = document.createElement("div");
  side.className = "columns";
  side.append(...pair.map(({ element }) => element));
  turn("assistant", side);
  await Promise.all(pair.map((column) => write(column, column === own ? bias : {}, column === own)));
  messages.push({ role: "assistant", content: own.text });
  running = null;
  $("send").disabled = false;
  $("stop").disabled = true;
  $("prompt").focus();
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); send(); });
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); send(); }
});
$("stop").addEventListener("click", () => running?.abort());
$("reset").addEventListener("click", () => { running?.abort(); messages = []; columns.clear(); $("log").replaceChildren(); });
$("concept").addEventListener("change", () => choose($("concept").value));
$("add-dial").addEventListener("click", () => {
  const name = $("new-dial").value.trim();
  if (known?.concepts.some((concept) => concept.name === name)) { dials.add(name, known.max_dial / 2); $("new-dial").value = ""; }
});
$("zero").addEventListener("click", () => dials.zero());
$("key").addEventListener("change", start);
start();
