// Nodes by time as a picture: a row a node, or a few neighbours where there are many.
import { choose, clock, color, day, moment, roundMoments } from "./format.js";

const holder = document.getElementById("heat");

function mix(from, to, share) { return from.map((value, index) => Math.round(value + (to[index] - value) * share)); }

function rgb(name) {
	const pen = document.createElement("canvas").getContext("2d");
	pen.fillStyle = color(name);
	const text = pen.fillStyle;
	return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

export function start(data) {
	if (!holder || data.rows.length === 0) return;
	const canvas = holder.querySelector("canvas");
	const readout = document.getElementById("heat-readout");
	const steps = data.used.length;
	let show = "used";
	let cursor = null;
	holder.hidden = false;

	const rowHeight = Math.max(2, Math.min(22, Math.floor(420 / data.rows.length)));
	const named = rowHeight >= 13;

	function draw() {
		const scale = Math.max(1, globalThis.devicePixelRatio || 1);
		const width = holder.clientWidth;
		const height = rowHeight * data.rows.length + 20;
		canvas.width = Math.round(width * scale);
		canvas.height = Math.round(height * scale);
		canvas.style.height = `${height}px`;
		const pen = canvas.getContext("2d");
		pen.scale(scale, scale);
		pen.font = "12px system-ui, sans-serif";
		const margin = left(pen);
		const [empty, full, none] = [rgb("free"), rgb(show === "lent" ? "lent" : "used"), color("hatch")];
		const step = (width - margin) / steps;
		data.rows.forEach((row, y) => {
			row[show].forEach((value, x) => {
				const [x0, y0] = [margin + x * step, y * rowHeight];
				const gap = rowHeight > 5 ? 1 : 0;
				if (value < 0) {
					pen.fillStyle = none;
					pen.fillRect(x0, y0 + rowHeight / 2 - 0.5, step, 1);
					return;
				}
				pen.fillStyle = `rgb(${mix(empty, full, value / 100).join(" ")})`;
				pen.fillRect(x0, y0, step + 0.5, rowHeight - gap);
			});
			if (named) {
				pen.fillStyle = color("muted");
				pen.textBaseline = "middle";
				pen.fillText(row.name, 0, y * rowHeight + rowHeight / 2, margin - 8);
			}
		});
		pen.fillStyle = color("muted");
		pen.textBaseline = "alphabetic";
		const marks = roundMoments(data.since, data.since + steps * data.stepSeconds, width < 500 ? 4 : 8);
		for (const at of marks.moments) {
			const text = marks.hours >= 24 ? day(at) : clock(at);
			const room = pen.measureText(text).width;
			const x = margin + ((at - data.since) / data.stepSeconds) * step;
			pen.fillText(text, Math.min(Math.max(margin, x - room / 2), width - room), height - 3);
		}
		if (cursor) {
			pen.strokeStyle = color("ink");
			pen.lineWidth = 1.5;
			pen.strokeRect(margin + cursor.x * step, cursor.y * rowHeight, Math.max(3, step), Math.max(3, rowHeight));
		}
	}

	function left(pen) {
		return named ? Math.min(150, 12 + Math.max(...data.rows.map((row) => pen.measureText(row.name).width))) : 0;
	}

	function tell(x, y) {
		const row = data.rows[y];
		if (!row || x < 0 || x >= steps) return;
		cursor = { x, y };
		const word = { used: "used", held: "held by jobs", lent: "lent" }[show];
		const value = row[show][x];
		readout.textContent = `${row.name}, ${moment(data.since + x * data.stepSeconds)}: `
			+ (value < 0 ? "not watched" : `${value} % of the cores ${word}`);
		draw();
	}

	canvas.addEventListener("pointermove", (event) => {
		const box = canvas.getBoundingClientRect();
		const margin = left(canvas.getContext("2d"));
		const x = Math.floor(((event.clientX - box.left - margin) / (box.width - margin)) * steps);
		tell(x, Math.floor((event.clientY - box.top) / rowHeight));
	});
	canvas.addEventListener("pointerleave", () => {
		cursor = null;
		readout.textContent = "\u00a0";
		draw();
	});
	canvas.addEventListener("keydown", (event) => {
		const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
		if (dx === 0 && dy === 0) return;
		event.preventDefault();
		tell(Math.max(0, Math.min(steps - 1, (cursor?.x ?? -1) + dx)), Math.max(0, Math.min(data.rows.length - 1, (cursor?.y ?? 0) + dy)));
	});
	choose(document.getElementById("heat-switch"), (what) => {
		show = what;
		holder.querySelector(".ramp").classList.toggle("lent", what === "lent");
		draw();
	});
	new ResizeObserver(draw).observe(holder);
	draw();
	return draw;
}
