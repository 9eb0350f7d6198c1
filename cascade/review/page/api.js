// Calls of the server. A change is sent until it is acknowledged, and counts once.

import { byId } from "./dom.js";

const WAITS = [300, 700, 1500, 3000];
let token = null;

/** Take the token out of the address, where others could read it. */
export function readToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("cascade-review-token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("cascade-review-token");
}

function headers() {
  const found = { "X-Cascade-Review": "1" };
  if (token) found.Authorization = `Bearer ${token}`;
  return found;
}

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
  return answerOf(await fetch(`api/${path}`, { headers: headers(), signal }));
}

export async function blob(path, signal) {
  const response = await fetch(`api/${path}`, { headers: headers(), signal });
  if (!response.ok) await answerOf(response);
  return response.blob();
}

const passing = (status) => status === 502 || status === 503 || status === 504;

/** Send a change; again and again while the server is away. */
export async function post(path, body) {
  const options = {
    method: "POST",
    headers: { ...headers(), "Content-Type": "application/json" },
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
