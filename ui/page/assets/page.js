/*
 * What script adds to the pages: numbers that follow the node, a mark that says whether they do, questions in a dialog.
 *
 * Elements name what they show (data-t: text, data-s: state); the node sends what has changed. When it has more or less to
 * show than before (its shape), parts of the page are fetched anew. Where the stream breaks, the node is asked again and
 * again, and where it does not answer, everything on the page is marked as old.
 */
const STALE_MS = 2500;
const LOST_MS = 6000;
const POLL_MS = 1000;
const CHECK_MS = 500;

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const live = document.getElementById("live");
const notLive = document.getElementById("not-live");
const values = {};
let heardMs = performance.now();
/** Pages of a controller have no stream: they ask, and that is as live as they are. */
const asks = document.body.dataset.live === "asks";
let polls = asks;

function put(changed, root = document) {
  for (const element of all("[data-t]", root)) {
    const value = changed[element.dataset.t];
    if (value !== undefined && element.textContent !== value) element.textContent = value;
  }
  for (const element of all("[data-s]", root)) {
    const value = changed[element.dataset.s];
    if (value !== undefined && element.dataset.state !== value) element.dataset.state = value;
  }
}

/** Which elements show a value: found once, and again when parts of the page were replaced. */
let places = new Map();
function place() {
  places = new Map();
  const note = (name, set) => places.set(name, [...(places.get(name) ?? []), set]);
  for (const element of all("[data-t]")) note(element.dataset.t, (value) => element.textContent = value);
  for (const element of all("[data-s]")) note(element.dataset.s, (value) => element.dataset.state = value);
}

function take({ values: changed, shape, sample, samples }) {
  heardMs = performance.now();
  for (const [name, value] of Object.entries(changed)) {
    if (values[name] === value) continue;
    values[name] = value;
    for (const set of places.get(name) ?? []) set(value);
  }
  if (sample || samples?.length) {
    const points = samples ?? [sample];
    globalThis.remediateSamples = [...(globalThis.remediateSamples ?? []), ...points].slice(-300);
    dispatchEvent(new CustomEvent("remediate:samples", { detail: points }));
  }
  if (shape !== document.body.dataset.shape) {
    document.body.dataset.shape = shape;
    refresh(() => true);
  }
}

/** Fetches this page again and puts those parts in place that are wanted and not in use. */
let refreshing = false;
let again = false;
async function refresh(wanted) {
  if (refreshing) return void (again = true);
  refreshing = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (response.redirected) return location.reload();
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of all("[data-part]").filter(wanted)) {
      const other = fresh.getElementById(part.id);
      if (pressed !== null && part.contains(pressed)) {
        again = true;
        continue;
      }
      if (other === null) part.remove();
      else if (!busy(part) && other.innerHTML !== part.innerHTML) replace(part, other);
    }
    for (const other of all("[data-part]", fresh)) if (!document.getElementById(other.id)) add(other);
    place();
    put(values);
  } catch {
    // The mark says that the node is not heard of.
  } finally {
    refreshing = false;
    if (again) {
      again = false;
      setTimeout(() => refresh(() => true), 200);
    }
  }
}

/** What a pointer is down on. Taken away before it is up, it would never hear of the click. */
let pressed = null;
addEventListener("pointerdown", ({ target }) => pressed = target, true);
// The click comes after these, in the same task.
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => setTimeout(() => pressed = null), true);
}

function busy(part) {
  const active = document.activeElement;
  const writes = active?.matches("input, textarea, select") && part.contains(active);
  return writes || part.querySelector("[data-plot]") !== null ||
    !getSelection().isCollapsed && part.contains(getSelection().anchorNode);
}

/** What is open stays open, the focus stays on what has the same name, a table stays where it was scrolled to. */
function replace(part, other) {
  const open = new Set(all("details[open] > summary", part).map(({ textContent }) => textContent));
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const key = active &&
    (active.getAttribute("href") ?? active.getAttribute("aria-label") ?? active.textContent);
  const scrolled = all(".scroll", part).map(({ scrollLeft }) => scrollLeft);
  part.replaceChildren(...other.childNodes);
  part.dataset.part = other.dataset.part;
  for (const summary of all("details > summary", part)) {
    if (open.has(summary.textContent)) summary.parentElement.open = true;
  }
  all(".scroll", part).forEach((element, index) => element.scrollLeft = scrolled[index] ?? 0);
  if (key === null) return;
  all("a, button, summary, [tabindex]", part).find((one) =>
    (one.getAttribute("href") ?? one.getAttribute("aria-label") ?? one.textContent) === key
  )?.focus({ preventScroll: true });
}

function add(other) {
  let before = other.previousElementSibling;
  while (before && !(before.id && document.getElementById(before.id))) before = before.previousElementSibling;
  const here = before && document.getElementById(before.id);
  if (here) here.after(other);
  else document.getElementById("main").append(other);
}

function watch() {
  const silentMs = performance.now() - heardMs;
  const mode = silentMs > LOST_MS
    ? "lost"
    : silentMs > STALE_MS
    ? "late"
    : polls && !asks
    ? "polled"
    : "live";
  if (live && live.dataset.mode !== mode) {
    live.dataset.mode = mode;
    document.documentElement.dataset.mode = mode;
  }
  const words = {
    live: asks ? "asked each second" : "live",
    polled: "not live: asked each second",
    late: "not live",
    lost: "not live",
  }[mode];
  const since = mode === "late" || mode === "lost"
    ? `${words}: heard ${Math.round(silentMs / 1000)} s ago`
    : words;
  if (live && live.textContent !== since) live.textContent = since;
  if (notLive) {
    const hidden = mode !== "lost";
    if (notLive.hidden !== hidden) {
      notLive.hidden = hidden;
      notLive.textContent = hidden ? "" : "The node does not answer. What stands here is old.";
    }
  }
  for (const element of all("[data-until]")) {
    const left = Math.max(0, Math.ceil((Number(element.dataset.until) - Date.now()) / 1000));
    if (element.textContent !== `${left} s`) element.textContent = `${left} s`;
  }
}

/** Of a page that is looked at. A browser keeps six connections to a node, and a tab behind others must not hold one. */
let source = null;
function listen() {
  if (document.hidden || source !== null) return;
  source = new EventSource("/live");
  source.onmessage = ({ data }) => {
    polls = false;
    take(JSON.parse(data));
  };
  source.onerror = () => {
    polls = true;
    // A browser does not try again by itself after an answer that is no stream.
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    setTimeout(listen, POLL_MS);
  };
}

function lookedAt() {
  if (!document.hidden) return listen();
  source?.close();
  source = null;
  polls = false;
}

async function poll() {
  if (!polls) return;
  try {
    const response = await fetch("/live.json", { signal: AbortSignal.timeout(STALE_MS) });
    if (response.redirected) location.reload();
    else if (response.ok) take(await response.json());
  } catch {
    // The mark says it.
  }
}

function partsOnTheirOwn() {
  if (document.hidden) return;
  const nowMs = performance.now();
  const due = all("[data-part]").filter((part) => {
    const everyMs = Number(part.dataset.part);
    if (everyMs === 0 || nowMs < Number(part.dataset.next ?? 0)) return false;
    const first = part.dataset.next === undefined;
    part.dataset.next = String(nowMs + everyMs);
    return !first;
  });
  if (due.length > 0) refresh((part) => due.includes(part));
}

function dialogOf(markup) {
  const dialog = document.createElement("dialog");
  dialog.innerHTML = markup;
  const heading = dialog.querySelector("h2");
  if (heading) {
    heading.id = "question";
    dialog.setAttribute("aria-labelledby", "question");
  }
  return dialog;
}

/** Asked twice, the second answer would still stand there when the first is done. */
let asking = false;
async function ask(link) {
  if (asking) return;
  asking = true;
  try {
    const response = await fetch(link.href, { headers: { "x-part": "1" } });
    if (!response.ok || response.redirected) return location.assign(link.href);
    question(await response.text());
  } finally {
    asking = false;
  }
}

function question(markup) {
  const dialog = dialogOf(markup);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    refresh(() => true);
  });
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target, button = form.querySelector("button");
    button.disabled = true;
    button.textContent = "…";
    dialog.setAttribute("aria-busy", "true");
    const answer = await sent(form);
    dialog.removeAttribute("aria-busy");
    dialog.innerHTML = answer;
    dialog.querySelector("a, button")?.focus();
  });
  dialog.showModal();
}

async function sent(form) {
  try {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(form.action, { method: "POST", body, headers: { "x-part": "1" } });
    // To the login: the session is over. What stands in an editor is not to be lost by it.
    if (response.redirected) {
      return '<div class="came"><p role="alert">You are not logged in any more; nothing was done.</p>' +
        '<p class="actions"><a class="button" href="/login">Log in</a></p></div>';
    }
    if (response.ok) return await response.text();
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return `<div class="came">${page.querySelector("main")?.innerHTML ?? "That did not work."}</div>`;
  } catch {
    return '<div class="came"><p role="alert">The node did not answer; whether it was done is not known.</p>' +
      '<p class="actions"><a class="button quiet" href="/" data-close>Close</a></p></div>';
  }
}

function configEditor() {
  const form = document.querySelector("form[data-config]");
  if (!form) return;
  const area = form.querySelector("textarea"), judged = document.getElementById("judged");
  let timer = 0;
  let asked = 0;
  area.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = ++asked;
      const markup = await sent(form);
      if (mine !== asked) return;
      judged.innerHTML = markup;
      linesOf(judged, area);
    }, CHECK_MS);
  });
  linesOf(judged, area);
}

/** A number of a line becomes a way to that line. */
function linesOf(judged, area) {
  for (const mark of all("[data-line]", judged)) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain line-number";
    button.textContent = mark.textContent;
    button.addEventListener("click", () => {
      const lines = area.value.split("\n"), line = Number(mark.dataset.line) - 1;
      const from = lines.slice(0, line).reduce((sum, text) => sum + text.length + 1, 0);
      area.focus();
      area.setSelectionRange(from, from + (lines[line]?.length ?? 0));
      area.scrollTop = area.scrollHeight * Math.max(0, line - 4) / lines.length;
    });
    mark.replaceWith(button);
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  ask(link).catch(() => location.assign(link.href));
});

if (live) {
  place();
  configEditor();
  if (!asks) {
    listen();
    document.addEventListener("visibilitychange", lookedAt);
  }
  setInterval(watch, 250);
  setInterval(poll, POLL_MS);
  setInterval(partsOnTheirOwn, 500);
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

/** A bundle goes to the API as it lies on the disk, is installed there, and the page shows how far it is. */
const bundleForm = document.querySelector("form[data-bundle]");
async function sendBundle(form) {
  const said = form.querySelector("[data-told]");
  const headers = { "x-csrf-token": form.dataset.csrf };
  const ask = async (method, path, body, type) => {
    const response = await fetch(path, { method, body, headers: { ...headers, "content-type": type } });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail);
    return answer;
  };
  const button = form.querySelector("button");
  button.disabled = true;
  const watch = setInterval(() => refresh((part) => part.id === "slots"), POLL_MS);
  try {
    said.textContent = "The bundle is being sent";
    const { digest } = await ask(
      "PUT",
      "/api/v1/update/bundle",
      form.bundle.files[0],
      "application/octet-stream",
    );
    said.textContent = "It is being installed";
    const order = JSON.stringify({ digest, force: form.force.checked });
    said.textContent = (await ask("POST", "/api/v1/update/install", order, "application/json")).reason;
  } catch (error) {
    said.textContent = error.message;
  } finally {
    clearInterval(watch);
    button.disabled = false;
    refresh(() => true);
  }
}
bundleForm?.addEventListener("submit", (event) => {
  event.preventDefault();
  sendBundle(bundleForm);
});
