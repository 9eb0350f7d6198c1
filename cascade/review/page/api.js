// Calls of the server. A change is sent until it is acknowledged, and counts once.

import { byId } from "./dom.js";

const WAITS = [300, 700, 1500, 3000];
const HEADERS = { "X-Cascade-Review": "1" }; // which pages of other origins may not send

/** What the server refuses, in its words. */
export class Refused extends Error {}

async function answerOf(response) {
  if (response.ok) return response.json();
  let why = `the server says ${response.status}`;
  try {
    const told = (await response.json()).detail;
    why = typeof told === "string" ? told : told?.[0]?.msg ?? why;
  } catch { /* no JSON: the status has to do */ }
  throw new Refused(why);
}

export async function get(path, signal) {
  return answerOf(await fetch(`api/${path}`, { headers: HEADERS, signal }));
}

export async function blob(path, signal) {
  const response = await fetch(`api/${path}`, { headers: HEADERS, signal });
  if (!response.ok) await answerOf(response);
  return response.blob();
}

const passing = (status) => status === 502 || status === 503 || status === 504;

/** Send a change; again and again while the server is away. */
export async function post(path, body) {
  const options = {
    method: "POST",
    headers: { ...HEADERS, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  for (let tried = 0; ; tried += 1) {
    try {
      const response = await fetch(`api/${path}`, options);
      if (!passing(response.status)) {
        byId("trouble").hidden = true;
        return await answerOf(response);
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    byId("trouble").textContent = "The server does not answer. What you decided last is kept here and sent again.";
    byId("trouble").hidden = false;
    await new Promise((done) => setTimeout(done, WAITS[Math.min(tried, WAITS.length - 1)]));
  }
}

/** A name for a change, by which the server knows it again. */
export function requestName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
