// The monitors, and the guard's events with the heat map of the tokens around each trip.

import { Tokens } from "./tokens.js";

export function listMonitors(element, monitors) {
  if (!monitors.length) {
    element.textContent = "No policy: nothing is guarded. Start the server with --policy to set limits.";
    return;
  }
  element.replaceChildren(...monitors.map((monitor) => {
    const line = document.createElement("li");
    const side = monitor.direction === "above" ? "over" : "under";
    const what = typeof monitor.what === "string" ? monitor.what : Object.keys(monitor.what).join(", ");
    line.textContent = `${monitor.name}: ${what} ${side} z ${monitor.threshold.toFixed(2)} → ${monitor.action}`;
    return line;
  }));
}

// `reveal` shows the event in the chat and says whether its reply is there.
export function eventLine(event, reveal) {
  const line = document.createElement("li");
  const show = document.createElement("button");
  show.type = "button";
  show.ariaExpanded = "false";
  const at = event.token === null ? "the prompt's end" : `token ${event.token}`;
  const sides = { above: "over", below: "under" };
  show.textContent = `${time(event.time)} ${event.monitor} ${event.value?.toFixed(2) ?? "?"}, `
    + `${sides[event.direction]} ${event.threshold.toFixed(2)} at ${at} → ${event.action}`;
  const strip = heatMap(event);
  if (strip) strip.element.hidden = true;
  show.addEventListener("click", () => {
    if (strip) strip.element.hidden = !strip.element.hidden;
    show.ariaExpanded = String(Boolean(strip) && !strip.element.hidden);
    if (!strip || !strip.element.hidden) reveal(event, strip);
  });
  line.append(show);
  if (strip) line.append(strip.element);
  return line;
}

function heatMap(event) {
  if (!event.heat) return null;
  const { first, z, text } = event.heat;
  const strip = new Tokens((token) => token.value, (token) => {
    return token.value === null ? [] : [[event.monitor, token.value, true]];
  });
  strip.element.classList.add("heat");
  if (!text) strip.element.classList.add("wordless");
  z.forEach((value, at) => {
    const token = strip.add({ text: text?.[at] ?? " ", value });
    if (first + at === event.token) token.span.classList.add("tripped");
  });
  return strip;
}

function time(text) {
  const when = new Date(text);
  return when.toLocaleTimeString([], { hour12: false });
}
