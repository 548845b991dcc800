// The lists of leases, as the last event has them.
import { countdown, element, exactClock } from "./format.js";

const running = document.getElementById("running");
const ended = document.getElementById("ended");
let seen = null;

function cell(text, className) { return element("td", className ?? "", text); }

function row(lease, last) {
	const beneath = element("td", "n");
	if (lease.beneath) {
		const link = element("a", "", String(lease.beneath));
		link.href = `jobs/${lease.beneath}`;
		beneath.append(link);
	} else beneath.append("–");
	const made = element("tr", "", element("td", "", element("code", "", lease.id)), cell(lease.kind), cell(lease.user),
		cell(lease.node), cell(String(lease.cores), "n"), cell(lease.memory, "n"), beneath, last);
	made.dataset.lease = lease.id;
	if (seen && !seen.has(lease.id + (lease.reason ?? ""))) made.className = "fresh";
	return made;
}

function left(lease) {
	const last = element("td", "left");
	last.dataset.ends = lease.termEnds;
	last.append(`in ${countdown(lease.termEnds - Date.now() / 1000)}`);
	return last;
}

function why(lease) {
	const time = element("time", "muted", exactClock(lease.ended));
	time.dateTime = new Date(lease.ended * 1000).toISOString();
	time.title = time.dateTime;
	return element("td", "", element("span", lease.revoked ? "end revoked" : "end", lease.words), " ", time);
}

function fill(body, rows, empty) {
	body.replaceChildren(...rows);
	body.closest(".scroll").hidden = rows.length === 0;
	document.getElementById(empty).hidden = rows.length > 0;
}

/** Takes a board of leases. */
export function update(board) {
	fill(running, board.running.map((lease) => row(lease, left(lease))), "no-running");
	fill(ended, board.ended.map((lease) => row(lease, why(lease))), "no-ended");
	seen = new Set([...board.running, ...board.ended].map((lease) => lease.id + (lease.reason ?? "")));
	document.getElementById("lease-count").textContent = board.count;
	document.getElementById("leases-hidden").hidden = board.hidden === 0;
	document.getElementById("leases-hidden-count").textContent = board.hidden;
}

setInterval(() => {
	for (const last of running?.querySelectorAll(".left") ?? []) {
		last.textContent = `in ${countdown(last.dataset.ends - Date.now() / 1000)}`;
	}
}, 1000);
