"use strict";

// Whatever comes from the sandbox becomes text nodes, never markup.

const PERIOD = 1000;
const STATUSES = {
  ok: "may not send",
  credentials: "must be reconnected",
  error: "not available now",
};
const SCRIPTS = [
  ["Rate limit (429)", { kind: "error", status: 429, headers: { "Retry-After": "5" } }],
  ["Unavailable, 3 times (503)", { kind: "error", status: 503, times: 3 }],
  ["Drop the connection", { kind: "drop" }],
];
let shown = null;

function element(name, text, ...classes) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  made.classList.add(...classes);
  return made;
}

function button(label, about, method, path, body) {
  const made = element("button", label);
  made.type = "button";
  made.dataset.key = `${label} ${about}`;
  if (about) made.setAttribute("aria-label", `${label} ${about}`);
  made.addEventListener("click", async () => {
    made.disabled = true;
    await act(method, path, body);
    made.disabled = false;
    await look();
  });
  return made;
}

async function act(method, path, body) {
  const json = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const response = await fetch(`/sandbox${path}`, { method, ...json });
    if (!response.ok) state(`The sandbox rejected that: ${response.status}`, "lost");
  } catch {
    state("The sandbox has stopped.", "lost");
  }
}

function time(value) {
  return value === null ? "" : new Date(value).toLocaleTimeString();
}

function account(each) {
  const item = element("li");
  const what = element("div", null, "what");
  what.append(element("div", each.account_id, "id"));
  what.append(element("div", [each.channel, each.name, each.account_identifier].filter(Boolean).join(" · "), "soft"));
  what.append(
    each.sendable
      ? element("div", "✓ can send", "good")
      : element("div", `✗ ${each.status === "ok" && each.can_send ? "blocked" : STATUSES[each.status]}`, "bad"),
  );
  const path = `/accounts/${encodeURIComponent(each.account_id)}`;
  item.append(
    what,
    each.sendable
      ? button("Block", each.account_id, "POST", `${path}/block`)
      : button("Reconnect", each.account_id, "POST", `${path}/reconnect`),
  );
  return item;
}

function table(columns, rows, nothing) {
  if (!rows.length) return element("p", nothing);
  const made = element("table");
  const head = made.createTHead().insertRow();
  for (const name of columns) {
    const cell = element("th", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = made.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((value, number) => {
      const cell = element("td");
      cell.dataset.name = columns[number];
      cell.append(element("span", value));
      line.append(cell);
    });
  }
  return made;
}

function address(recipient) {
  return [recipient.name, recipient.address || recipient.profile_url || recipient.phone].filter(Boolean).join(", ");
}

function fault(each) {
  const { kind, times, method, ...more } = each;
  const details = Object.entries(more)
    .filter(([, value]) => value && JSON.stringify(value) !== "{}")
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [kind, times, method ?? "any", details.join(", ")];
}

function show(now) {
  const focused = document.activeElement?.dataset?.key;
  const parts = {
    accounts: now.accounts.items.map(account),
    outbox: [
      table(
        ["Time", "From", "To", "Message", "Job"],
        now.outbox.items.map((each) => [
          time(each.created_at),
          each.account_id,
          address(each.recipient),
          [each.content.subject, each.content.text ?? each.content.html ?? each.content.topic].filter(Boolean).join(": "),
          each.status,
        ]),
        "Nothing was sent.",
      ),
    ],
    jobs: [
      table(
        ["Due", "Job", "Action", "Channel", "Status"],
        now.jobs.items.map((each) => [
          time(each.scheduled_at),
          each.id,
          each.action,
          each.channel,
          each.error ? `${each.status}: ${each.error.code}` : each.status,
        ]),
        "No job was created.",
      ),
    ],
    faults: [
      table(["Fault", "Times", "Method", "Details"], now.faults.items.map(fault), "The next requests get normal responses."),
    ],
    requests: [
      table(
        ["Time", "Request", "Status", "Fault"],
        now.requests.items.map((each) => [
          time(each.received_at),
          `${each.method} ${each.path}${each.query ? `?${each.query}` : ""}`,
          each.status ?? "none",
          each.fault ?? "–",
        ]),
        "Nobody has asked yet.",
      ),
    ],
  };
  for (const [name, content] of Object.entries(parts)) {
    document.getElementById(name).replaceChildren(...content);
    const { total, items } = now[name];
    document.getElementById(`${name}-count`).textContent = items.length < total ? `${items.length} of ${total}` : total;
  }
  if (focused) [...document.querySelectorAll("button")].find((each) => each.dataset.key === focused)?.focus();
}

function state(text, kind) {
  const line = document.getElementById("state");
  if (line.textContent !== text) line.textContent = text;
  line.className = kind;
}

async function look() {
  try {
    const response = await fetch("/sandbox/overview", { cache: "no-store" });
    if (!response.ok) throw new Error(response.status);
    const text = await response.text();
    if (text !== shown) {
      show(JSON.parse(text));
      shown = text;
    }
    state("Live", "live");
  } catch {
    state("The sandbox has stopped, or does not respond.", "lost");
  }
}

async function keepLooking() {
  if (!document.hidden) await look();
  setTimeout(keepLooking, PERIOD);
}

const scripts = document.getElementById("scripts");
for (const [label, body] of SCRIPTS) scripts.append(button(label, "", "POST", "/faults", body));
scripts.append(button("Clear", "the faults", "DELETE", "/faults"));
keepLooking();
