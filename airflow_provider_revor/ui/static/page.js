"use strict";

// Whatever comes from Revor or Airflow becomes text nodes, never markup; links lead to Airflow or to Revor's console.

const PERIOD = 60_000;

function element(name, text, ...classes) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  made.classList.add(...classes);
  return made;
}

function link(text, href) {
  const made = element("a", text);
  made.href = href;
  if (!href.startsWith("../")) {
    made.target = "_blank";
    made.rel = "noopener noreferrer";
  }
  return made;
}

function table(columns, rows) {
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
      const cell = element("td", null, ...(typeof value === "number" ? ["number"] : []));
      cell.dataset.name = columns[number];
      cell.append(value instanceof Node ? value : element("span", value ?? "–"));
      line.append(cell);
    });
    [...head.cells].forEach((cell, number) => cell.classList.toggle("number", typeof row[number] === "number"));
  }
  return made;
}

function time(value) {
  return value === null ? null : new Date(value).toLocaleString();
}

async function get(path) {
  const response = await fetch(path, { cache: "no-store", credentials: "same-origin" });
  if (response.status === 401) throw new Error("You are no longer logged in: log in to Airflow, then reload this page.");
  if (response.status === 403) throw new Error("You may not read connections.");
  if (!response.ok) throw new Error(`Airflow responded with ${response.status}.`);
  return response.json();
}

function mark(account) {
  return account.sendable ? element("span", "✓ can send", "good") : element("span", "✗ blocked", "bad");
}

function reason(account) {
  if (account.sendable) return "–";
  const made = element("span");
  // The reason names the console's address: a link says it better.
  made.append(element("span", account.reason.replaceAll(account.console_url, "Revor's console")));
  made.append(" ", link("Open the console", account.console_url));
  return made;
}

async function showAccounts(connection, place) {
  let answer;
  try {
    answer = await get(`connections/${encodeURIComponent(connection)}/accounts`);
  } catch (error) {
    answer = { accounts: [], error: error.message, asked_at: Date.now() / 1000 };
  }
  const parts = [element("h3", connection)];
  if (answer.error) parts.push(element("p", answer.error, "bad"));
  else if (!answer.accounts.length) parts.push(element("p", "No account is connected, or the key sees none.", "soft"));
  else {
    const columns = ["", "Account", "Channel", "Name", "Identifier", "Status", "Reason"];
    const rows = answer.accounts.map((each) => [
      mark(each), each.account_id, each.channel, each.name, each.account_identifier, each.status, reason(each),
    ]);
    parts.push(table(columns, rows));
  }
  parts.push(element("p", `As of ${time(answer.asked_at * 1000)}; Revor is asked at most once a minute.`, "soft"));
  place.replaceChildren(...parts);
}

function wanted(gate) {
  if (gate.account_id) return gate.account_id;
  if (gate.channel) return `any ${gate.channel} account`;
  return gate.conn_id ? "any account" : null;
}

function task(each) {
  const index = each.map_index < 0 ? "" : ` [${each.map_index}]`;
  return link(`${each.dag_id}: ${each.task_id}${index}`, `../${each.task_url}`);
}

function fill(id, nothing, columns, rows) {
  const content = rows.length ? table(columns, rows) : element("p", nothing, "soft");
  document.getElementById(id).replaceChildren(content);
}

function places(connections) {
  const section = document.getElementById("accounts");
  if (!connections.length) {
    section.replaceChildren(element("p", "Airflow has no connection of the type revor that you may read.", "soft"));
    return [];
  }
  const known = new Map([...section.children].map((each) => [each.dataset.connection, each]));
  const made = connections.map((connection) => {
    const place = known.get(connection) ?? element("div", "Asking Revor …");
    place.dataset.connection = connection;
    return place;
  });
  section.replaceChildren(...made);
  return made;
}

async function show() {
  const state = document.getElementById("state");
  try {
    const now = await get("overview");
    fill(
      "gates",
      "No gate waits.",
      ["Task", "Run", "Waits for", "Connection", "Since", "State"],
      now.gates.map((each) => [
        task(each), link(each.run_id, `../${each.run_url}`), wanted(each), each.conn_id, time(each.since), each.state,
      ]),
    );
    fill(
      "outreach",
      `No outreach ended in the last ${now.days} days.`,
      ["Account", "Sent", "Accepted", "Failed", "Skipped", "Task", "Run", "Ended"],
      now.outreach.map((each) => [
        each.account_id, each.sent, each.accepted, each.failed, each.skipped,
        task(each), link(each.run_id, `../${each.run_url}`), time(each.ended_at),
      ]),
    );
    document.getElementById("outreach-title").textContent = `Outreach of the last ${now.days} days`;
    await Promise.all(places(now.connections).map((place) => showAccounts(place.dataset.connection, place)));
    state.textContent = `Updated ${new Date().toLocaleTimeString()}, every minute`;
    state.className = "soft";
  } catch (error) {
    state.textContent = error.message;
    state.className = "bad";
  }
}

async function keepShowing() {
  if (!document.hidden) await show();
  setTimeout(keepShowing, PERIOD);
}

keepShowing();
