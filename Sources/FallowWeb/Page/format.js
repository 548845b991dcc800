// Numbers and times as the page shows them. Texts are only ever set as text.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const cores = (value) => (value >= 100 || Number.isInteger(value) ? whole : tenths).format(value);

export function span(seconds) {
	if (seconds < 10) return `${seconds.toFixed(1)} s`;
	if (seconds < 120) return `${Math.round(seconds)} s`;
	return seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Moments between two that a clock on the wall calls round: whole hours, or midnights. */
export function roundMoments(from, to, count) {
	const hours = [1, 2, 3, 6, 12, 24, 48, 96, 168].find((size) => (to - from) / 3600 / size <= count) ?? 336;
	const at = new Date(from * 1000);
	at.setMinutes(0, 0, 0);
	if (hours >= 24) at.setHours(0);
	else at.setHours(Math.ceil(at.getHours() / hours) * hours);
	const moments = [];
	while (at.getTime() / 1000 <= to) {
		if (at.getTime() / 1000 >= from) moments.push(at.getTime() / 1000);
		if (hours >= 24) at.setDate(at.getDate() + hours / 24);
		else at.setHours(at.getHours() + hours);
	}
	return { hours, moments };
}

/** Time left, as `4:05` or `1:02:03`. */
export function countdown(seconds) {
	const left = Math.max(0, Math.round(seconds));
	const two = (value) => String(value).padStart(2, "0");
	const hours = Math.floor(left / 3600);
	return `${hours ? `${hours}:${two(Math.floor(left / 60) % 60)}` : Math.floor(left / 60)}:${two(left % 60)}`;
}

const format = (parts) => new Intl.DateTimeFormat(undefined, { hourCycle: "h23", ...parts });
const sameDay = format({ hour: "2-digit", minute: "2-digit" });
const otherDay = format({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const withSeconds = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayOnly = format({ weekday: "short", day: "numeric", month: "short" });

export const moment = (seconds) => otherDay.format(new Date(seconds * 1000));
export const clock = (seconds) => sameDay.format(new Date(seconds * 1000));
export const day = (seconds) => dayOnly.format(new Date(seconds * 1000));
export const exactClock = (seconds) => withSeconds.format(new Date(seconds * 1000));

/** What the server wrote in UTC, in the reader's time; the exact moment stays as a title. */
export function localize(root) {
	for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
		const at = new Date(time.dateTime);
		time.title = `${time.dateTime.replace("T", " ").replace("Z", "")} UTC`;
		time.textContent = otherDay.format(at);
	}
}

/** An element with a class and texts or elements in it. */
export function element(name, className, ...children) {
	const made = document.createElement(name);
	if (className) made.className = className;
	made.append(...children);
	return made;
}

export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A group of buttons of which one is pressed. */
export function choose(group, changed) {
	group.hidden = false;
	group.addEventListener("click", (event) => {
		const button = event.target.closest("button");
		if (!button) return;
		for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
		changed(button.dataset.show);
	});
}
