"use strict";
// The page is whole without this. It puts in what is new, filters, goes by keys, and takes a
// stretch of time from the picture.
const find = (selector) => document.querySelector(selector);
const filter = find("#filter");
const contact = find("#contact");

function applyFilter() {
  if (!filter) return;
  const wanted = filter.value.toLowerCase();
  for (const row of document.querySelectorAll("#programs tbody tr")) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
}

// All times are UTC; the reader's own is told where one points.
function tellLocalTime(root) {
  for (const time of root.querySelectorAll("time")) time.title = new Date(time.dateTime).toLocaleString() + " here";
}

// A stretch of time, by dragging across the picture.
function chooseStretch(figure) {
  const form = find("#stretch");
  const area = figure.querySelector(".area");
  if (!form || !area) return;
  const from = Number(form.dataset.from);
  const span = Number(form.dataset.to) - from;
  const chosen = document.createElement("div");
  chosen.className = "chosen";
  chosen.hidden = true;
  area.append(chosen);
  let begin = null;
  const part = (event) => {
    const box = area.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  area.addEventListener("pointerdown", (event) => { if (event.button === 0) begin = part(event); });
  area.addEventListener("pointermove", (event) => {
    if (begin === null) return;
    const [left, right] = [begin, part(event)].sort((a, b) => a - b);
    chosen.hidden = right - left < 0.01;
    chosen.style.left = left * 100 + "%";
    chosen.style.width = (right - left) * 100 + "%";
  });
  addEventListener("pointerup", (event) => {
    if (begin === null) return;
    const [left, right] = [begin, part(event)].sort((a, b) => a - b);
    begin = null;
    chosen.hidden = true;
    if (right - left < 0.01) return;
    const at = (share) => Math.round(from + span * share);
    location.search = "?from=" + at(left) + "&to=" + at(right);
  });
}

// What is new: the page is asked for again, and its parts are put in the place of the old.
const body = document.body;
let asking = false;
function isBusy() {
  const selection = getSelection();
  return asking || document.hidden || (selection && !selection.isCollapsed) || document.querySelector(".chosen:not([hidden])");
}
async function renew(at) {
  if (isBusy() || (at && at === body.dataset.live)) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { redirect: "error" });
    if (!answer.ok) throw new Error(answer.status === 401 ? "open the address that memtrace printed when it began" : "it answered " + answer.status);
    put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    contact.textContent = "";
    contact.className = "";
  } catch (error) {
    lost(error.message);
  } finally {
    asking = false;
  }
}
function put(fresh) {
  const focused = document.activeElement && document.activeElement.getAttribute("href");
  for (const part of document.querySelectorAll("[data-part]")) {
    const next = fresh.getElementById(part.id);
    if (!next) continue;
    const open = [...part.querySelectorAll("details")].map((it) => it.open);
    const hadFocus = part.contains(document.activeElement);
    next.querySelectorAll("details").forEach((it, number) => { if (open[number]) it.open = true; });
    part.replaceWith(document.adoptNode(next));
    tellLocalTime(next);
    next.querySelectorAll("figure.timeline").forEach((it) => { readOut(it); chooseStretch(it); });
    if (hadFocus && focused) {
      const same = [...next.querySelectorAll("a")].find((it) => it.getAttribute("href") === focused);
      if (same) same.focus({ preventScroll: true });
    }
  }
  document.title = fresh.title;
  body.dataset.live = fresh.body.dataset.live || "";
  const form = find("#stretch");
  const fresher = fresh.getElementById("stretch");
  if (form && fresher) Object.assign(form.dataset, { from: fresher.dataset.from, to: fresher.dataset.to });
  applyFilter();
}
function lost(why) {
  contact.textContent = "No contact with memtrace (" + why + "): what you see is no longer renewed.";
  contact.className = "warning";
}

const ASK_AGAIN = 15000;
let source = null;
let timer = null;
function listen() {
  if (source || document.hidden) return;
  source = new EventSource("/events");
  source.onmessage = (event) => renew(event.data);
  source.onerror = () => {
    if (source && source.readyState === EventSource.CLOSED) {
      // No room for another window, or the daemon is gone: ask now and then.
      hush();
      timer = setTimeout(() => { renew(""); listen(); }, ASK_AGAIN);
    } else {
      lost("it does not answer");
    }
  };
}
function hush() {
  if (source) source.close();
  source = null;
  clearTimeout(timer);
}

// Keys: / to the filter, arrows from row to row, Escape back.
function step(by) {
  const rows = [...document.querySelectorAll("a.row")].filter((it) => it.offsetParent !== null);
  const now = rows.indexOf(document.activeElement);
  const next = rows[now < 0 ? (by > 0 ? 0 : rows.length - 1) : now + by];
  if (next) next.focus();
  return Boolean(next);
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches && event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (typing && event.target === filter && filter.value) { filter.value = ""; applyFilter(); }
    else if (typing) event.target.blur();
    else if (location.pathname !== "/") location.href = "/";
  } else if (event.key === "/" && !typing && filter) {
    event.preventDefault();
    filter.focus();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (typing && event.target !== filter) return;
    if (!typing && !document.activeElement.matches("a.row, body")) return;
    if (step(event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
  } else if (event.key === "Enter" && event.target === filter) {
    step(1);
  }
});

if (filter) {
  filter.closest(".finder").hidden = false;
  filter.addEventListener("input", applyFilter);
}
for (const told of document.querySelectorAll(".scripted, .keys")) told.hidden = false;
document.querySelectorAll("figure.timeline").forEach(chooseStretch);
tellLocalTime(document);
if (body.dataset.live !== undefined) {
  document.addEventListener("visibilitychange", () => { if (document.hidden) hush(); else listen(); });
  addEventListener("pagehide", hush);
  listen();
}
