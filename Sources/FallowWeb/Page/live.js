// What changes, as fallowctld sends it. A connection that is cut is made again by the browser; one that is refused, after a while.
import { cores } from "./format.js";
import * as leases from "./leases.js";
import * as tiles from "./tiles.js";

const badge = document.getElementById("live");
const words = document.getElementById("live-words");

function say(state, text) {
	badge.dataset.state = state;
	words.textContent = text;
}

function set(id, text) {
	const place = document.getElementById(id);
	if (place && place.textContent !== text) place.textContent = text;
}

function figures(now) {
	const percent = (value) => (now.cores ? String(Math.round((value / now.cores) * 100)) : "0");
	for (const name of ["used", "leased", "held", "free", "offered", "cores", "nodes", "reporting", "leases"]) {
		set(`f-${name}`, cores(now[name]));
	}
	set("f-used-percent", percent(now.used));
	const [, used, lent, held] = document.querySelectorAll("#nowbar rect");
	let at = 0;
	for (const [rect, value] of [[used, now.used], [lent, now.leased], [held, now.held]]) {
		const width = now.cores ? (value / now.cores) * 100 : 0;
		rect.setAttribute("x", at);
		rect.setAttribute("width", width);
		at += width;
	}
	document.getElementById("slurm-silent")?.toggleAttribute("hidden", now.slurmAnswers);
}

export function start() {
	const events = new EventSource("live");
	events.addEventListener("open", () => say("on", "live"));
	events.addEventListener("now", (event) => {
		const now = JSON.parse(event.data);
		figures(now.figures);
		tiles.update(now);
		say("on", "live");
	});
	events.addEventListener("leases", (event) => leases.update(JSON.parse(event.data)));
	events.addEventListener("error", () => {
		if (events.readyState === EventSource.CLOSED) {
			say("lost", "not live: too many look, or fallowctld is away");
			setTimeout(start, 30000);
		} else say("lost", "connecting again");
	});
	// The browser tells fallowctld at once.
	addEventListener("pagehide", () => events.close());
}
