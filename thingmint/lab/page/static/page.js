// The page's own script: it draws what /live sends, by textContent alone, and asks again when the line is cut.

const $ = (id) => document.getElementById(id);
const QUIET_MS = 5000; // between two announcements to a screen reader
const SVG = "http://www.w3.org/2000/svg";
const MOST_LINES = 30; // of each kind, as the lab sends them
const AGAIN_MS = 3000; // after a refused connection; a cut one is taken up by the browser itself

/** An element with properties and children; strings become text, never markup. */
function make(tag, properties = {}, ...children) {
  const { data = {}, aria = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const sign = () => make("span", { className: "sign", ariaHidden: "true" });
const badge = (state, word) => make("span", { className: "badge", data: { state } }, sign(), word);
const unseen = (text) => make("span", { className: "unseen" }, text);
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

// --- moments ---------------------------------------------------------------------------------------------------------

const pad = (number) => String(number).padStart(2, "0");
const day = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
const clock = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;

function moment(iso) {
  if (!iso) return "never";
  const at = new Date(iso);
  return day(at) === day(new Date()) ? clock(at) : `${day(at)} ${clock(at)}`;
}

const time = (iso) => (iso ? make("time", { dateTime: iso }, moment(iso)) : "never");
const until = (ends, expired) => make("span", { className: "date" }, `${expired ? "expired on" : "until"} ${day(new Date(ends))}`);

// --- parts -----------------------------------------------------------------------------------------------------------

const STANDING = { verified: "good", "not verified": "wait", expired: "bad", "not uploaded": "none" };

function node(one) {
  const uploads = one.uploads.map((up) => `${up.service}: ${up.name}${up.verified ? "" : " (not verified)"}`);
  const ends = one.until ? [" · ", until(one.until, one.standing === "expired")] : [];
  const below = [
    ...one.below.map(node),
    ...one.devices.map((id) => make("li", {}, make("span", { className: "id" }, id), unseen(", a device"))),
    ...(one.more_devices ? [make("li", { className: "quiet" }, `and ${one.more_devices} more devices`)] : []),
  ];
  return make(
    "li", {},
    make("div", { className: "node" },
      make("strong", {}, one.name),
      badge(STANDING[one.standing], one.standing),
      make("span", { className: "quiet" }, one.kind, ...ends, ...uploads.map((text) => ` · ${text}`))),
    below.length ? make("ul", {}, ...below) : null,
  );
}

function trust(nodes) {
  $("trust").replaceChildren(nodes.length
    ? make("ul", { className: "tree" }, ...nodes.map(node))
    : make("p", { className: "none" }, "No CA was uploaded yet: ", make("code", {}, "invoke rootca subca verify")));
}

const HOLDS = { yes: ["good", "Yes"], no: ["bad", "No"], unknown: ["none", "Unknown"] };

function facts(all) {
  return make("ul", { className: "facts" }, ...all.map(({ holds, text }) => {
    const [state, word] = HOLDS[holds];
    return make("li", { data: { state } }, sign(), unseen(`${word}: `), make("span", {}, text));
  }));
}

function slots(all) {
  if (all === null) return null;
  const held = all.map((slot) => make("li", {}, make("span", { className: "quiet" }, `sec tag ${slot.tag} · `),
    slot.kind, ...slot.papers.flatMap((paper) => [` · ${paper.name}, `, until(paper.until, paper.expired)])));
  return make("div", {},
    make("p", { className: "quiet next" }, held.length ? "Its modem holds:" : "Its modem is empty."),
    held.length ? make("ul", { className: "slots", ariaLabel: "What its modem holds" }, ...held) : null);
}

const shown = (all, label) => make("ul", { className: "shown", ariaLabel: label }, ...all.map((paper) =>
  make("li", {}, make("strong", {}, paper.name), `, ${paper.issuer === paper.name ? "self-signed" : `issued by ${paper.issuer}`}, `, until(paper.until, paper.expired))));

function meeting(last) {
  if (last === null) return make("p", { className: "meeting quiet" }, "No handshake since this lab was started.");
  return make("div", { className: "meeting" },
    make("h3", {}, "Last handshake ", time(last.at)),
    last.refused ? badge("bad", "refused") : badge("good", "accepted"),
    make("span", { className: "quiet" }, last.refused || (last.shown.length ? "The device showed:" : "")),
    shown(last.shown, "What the device showed"));
}

function sides(picture) {
  if (picture === null) {
    $("sides").replaceChildren(make("p", { className: "none" }, "No device yet: ", make("code", {}, "invoke device --imei ID")));
    return;
  }
  const arrow = (way) => make("span", { className: `arrow ${way}`, ariaHidden: "true" });
  $("sides").replaceChildren(
    make("div", { className: "pair" },
      make("div", { className: "card" },
        make("h3", { className: "id" }, picture.device),
        make("p", { className: "quiet" }, "Why does it trust the hub?"),
        facts(picture.device_trusts), slots(picture.slots)),
      make("div", { className: "between", ariaHidden: "true" },
        make("span", {}, "shows its certificate", arrow("right")),
        make("span", {}, arrow("left"), "shows its certificate")),
      make("div", { className: "card" },
        make("h3", {}, "The hub"),
        make("p", { className: "quiet" }, "Why does it trust the device?"),
        facts(picture.hub_trusts), make("p", { className: "quiet next" }, "It shows:"), shown(picture.server, "What the hub shows"))),
    meeting(picture.meeting));
}

const rows = new Map(); // device id → its row, so that focus stays where it is

function cells(row, one) {
  const [button, state, active, expires] = row.parts;
  button.ariaPressed = String(one.device === chosen);
  const [kind, word] = !one.enabled ? ["wait", "disabled"] : one.connected ? ["good", "connected"] : ["none", "not connected"];
  const more = `${one.enabled ? "enabled" : one.connected ? "connected" : "not connected"}, ${one.authentication}`;
  if (state.textContent !== word + more) state.replaceChildren(badge(kind, word), make("small", {}, more));
  active.replaceChildren(time(one.active));
  expires.textContent = one.expires ? (one.expired ? "expired " : "") + day(new Date(one.expires)) : "not seen yet";
}

function newRow(id) {
  const button = make("button", { type: "button", className: "id", onclick: () => choose(id) }, id);
  const parts = ["more", "time", "date"].map((className) => make("td", { className }));
  return Object.assign(make("tr", {}, make("th", { scope: "row", className: "who" }, button), ...parts), { parts: [button, ...parts] });
}

function devices(all) {
  const focused = document.activeElement;
  const wanted = all.rows.map((one) => {
    const row = rows.get(one.device) ?? newRow(one.device);
    rows.set(one.device, row);
    cells(row, one);
    return row;
  });
  for (const [id, row] of rows) if (!wanted.includes(row)) { row.remove(); rows.delete(id); }
  wanted.forEach((row, place) => { if ($("devices").children[place] !== row) $("devices").insertBefore(row, $("devices").children[place] ?? null); });
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  say("devices-count", all.total > all.rows.length ? `the ${all.rows.length} active last, of ${all.total}` : "");
  say("devices-none", all.total ? "" : "None is registered yet.");
}

/** Telemetry and refusals: new ones on top, the others stay as they are. */
function lines(id, all, draw) {
  const body = $(id);
  const known = new Map([...body.children].map((row) => [row.dataset.number, row]));
  const first = !body.dataset.drawn;
  const fresh = all.filter((line) => !known.has(String(line.number)));
  body.replaceChildren(...all.map((line) => known.get(String(line.number))
    ?? make("tr", { className: first ? "" : "new", data: { number: line.number } }, ...draw(line))));
  body.dataset.drawn = "yes";
  return first ? [] : fresh;
}

/** The first number that the newest messages of one device have in common, as a line. */
function curve(all) {
  const newest = all.find((line) => Object.keys(numbers(line.text)).length);
  if (!newest) return [];
  const own = all.filter((line) => line.who === newest.who).map((line) => numbers(line.text)).reverse();
  const name = Object.keys(numbers(newest.text))[0];
  const values = own.map((one) => one[name]).filter((value) => value !== undefined);
  if (values.length < 2) return [];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const points = values.map((value, at) => `${(at * 100) / (values.length - 1)},${3 + ((high - value) * 26) / (high - low || 1)}`);
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 100 32");
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("aria-hidden", "true");
  const line = picture.appendChild(document.createElementNS(SVG, "polyline"));
  line.setAttribute("points", points.join(" "));
  const told = `${name} ${values.at(-1)}`;
  return [make("p", {}, make("span", { className: "figure" }, told), make("span", { className: "quiet" }, ` of ${newest.who}, between ${low} and ${high}`)), picture];
}

function numbers(text) {
  try {
    const is = (value) => typeof value === "number" && Math.abs(value) < 1e6; // a larger one is a time or a count
    return Object.fromEntries(Object.entries(JSON.parse(text) ?? {}).filter(([, value]) => is(value)));
  } catch {
    return {};
  }
}

function telemetry(all) {
  $("curve").replaceChildren(...curve(all));
  const fresh = lines("telemetry", all, (line) => [
    make("td", { className: "time" }, time(line.at)),
    make("td", { className: "who id" }, line.who),
    make("td", { className: "text" }, make("code", {}, line.text), line.more ? make("small", {}, line.more) : null),
  ]);
  say("telemetry-none", all.length ? "" : "Nothing was heard yet.");
  say("heard", all.length ? moment(all[0].at) : "–");
  if (fresh.length) announce("telemetry", `${fresh.length === 1 ? "A message" : `${fresh.length} messages`} from ${fresh[0].who}.`);
}

const refusal = (line) => [
  make("td", { className: "time" }, time(line.at)),
  make("td", { className: "who" }, line.who),
  make("td", { className: "text" }, line.text),
];

function refusals(all) {
  const fresh = lines("refusals", all, refusal);
  say("refusals-none", all.length ? "" : "No device was turned away yet.");
  say("refused", all.length ? moment(all[0].at) : "–");
  if (fresh.length) announce("refusals", `Refused: ${fresh[0].who}: ${fresh[0].text}.`);
}

/** Whoever sent them was told already: they are folded away, and not announced. */
function requests(all) {
  lines("requests", all, refusal);
  say("requests-count", all.length === MOST_LINES ? `the last ${all.length}` : String(all.length));
  $("requests-fold").hidden = !all.length;
}

function lab(one) {
  say("hub", one.hub);
  say("host", one.stands ? one.host : "there is no such hub yet: invoke hub-create");
  say("connected", `${one.connected} of ${one.devices}`);
  say("verified", `${one.verified} of ${one.authorities}`);
  if ($("mischief").textContent !== one.mischief) $("mischief").replaceChildren(...(one.mischief ? [sign(), make("span", {}, one.mischief)] : []));
}

// --- announcements: the newest of each kind, at most one sentence in a while --------------------------------------------

const waiting = new Map();
let timer = null;

function announce(kind, text) {
  waiting.set(kind, text);
  timer ??= setTimeout(() => {
    say("announcer", [...waiting.values()].join(" "));
    waiting.clear();
    timer = null;
  }, $("announcer").textContent ? QUIET_MS : 0);
}

// --- the line ----------------------------------------------------------------------------------------------------------

const PARTS = { lab, trust, sides, devices, telemetry, refusals, requests };
let source = null;
let again = null;
let chosen = "";

function state(kind, text) {
  $("state").dataset.state = kind;
  say("state-text", text);
}

function listen() {
  clearTimeout(again);
  source?.close();
  source = new EventSource(`/live?device=${encodeURIComponent(chosen)}`);
  source.onopen = () => state("good", "live");
  source.onerror = () => {
    state("bad", "connection lost, trying again");
    if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, AGAIN_MS);
  };
  for (const [name, draw] of Object.entries(PARTS)) source.addEventListener(name, (event) => draw(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    source.close();
    state("wait", "the lab has ended: its last picture");
  });
}

function choose(id) {
  history.replaceState(null, "", id ? `#device=${encodeURIComponent(id)}` : location.pathname);
  fromAddress();
}

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("device") ?? "";
  $("follow").hidden = !given;
  chosen = given;
  for (const [id, row] of rows) row.parts[0].ariaPressed = String(id === chosen);
  listen();
}

$("follow").addEventListener("click", () => { choose(""); $("main").focus({ preventScroll: true }); });
addEventListener("hashchange", fromAddress);
fromAddress();
