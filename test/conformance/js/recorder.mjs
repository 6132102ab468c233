// A Recorder stands beside a Sentry SDK: it keeps the events in the envelopes that leave, and what the program is told
// of them.
export class Recorder {
  events = new Map();
  answers = new Map();
  kinds = new Set();
  reported = [];

  // watch sees every envelope that the client gives to its transport.
  watch(client) {
    const transport = client.getTransport();
    const send = transport.send;
    transport.send = (envelope) => {
      for (const [head, payload] of envelope[1]) {
        this.kinds.add(head.type);
        if (head.type === 'event' || head.type === 'feedback') {
          // As it is on the wire: what cannot be JSON is gone, and later changes do not show.
          this.events.set(payload.event_id, JSON.parse(JSON.stringify(payload)));
        }
      }
      const answer = send.call(transport, envelope);
      const ids = envelope[1].map(([, payload]) => payload?.event_id).filter((id) => this.events.has(id));
      const note = (text) => ids.forEach((id) => this.answers.set(id, text));
      answer.then(({ statusCode }) => note(String(statusCode)), (error) => note(String(error)));
      return answer;
    };
  }

  // report keeps an id that the SDK returned, with what the stored event has to hold and where its stack ends.
  report(name, event_id, want, top = '') {
    this.reported.push({ name, event_id: event_id ?? '', want, top });
  }

  // find waits for an event that the SDK captures by itself and reports it, by the message of its exception.
  async find(name, value, want, top = '') {
    const matching = () => [...this.events.values()].filter((e) => e.exception?.values?.at(-1)?.value === value);
    for (let i = 0; i < 250 && matching().length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    if (matching().length !== 1) throw new Error(`${name}: ${matching().length} events say ${value}`);
    this.report(name, matching()[0].event_id, want, top);
  }

  // result is what the test compares with the database.
  result(release) {
    const events = this.reported.map((r) => ({ ...r, event: this.events.get(r.event_id), answer: this.answers.get(r.event_id) }));
    for (const [id, event] of this.events) {
      if (!this.reported.some((r) => r.event_id === id)) throw new Error(`nobody reported ${id}: ${JSON.stringify(event).slice(0, 2000)}`);
    }
    return { release, events, kinds: [...this.kinds] };
  }
}
