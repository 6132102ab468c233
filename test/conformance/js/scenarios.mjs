// What programs do with a Sentry SDK, in Node.js and in a browser alike.

// functionThatFails has a name to be found in stack traces.
export function functionThatFails(message) {
  throw new TypeError(message);
}

export function caught(message) {
  try {
    functionThatFails(message);
  } catch (error) {
    return error;
  }
}

const texts = {
  unicode: 'Grüße, 世界, 👩‍👩‍👧‍👦 \u{10FFFF} \u202Eright to left',
  'control signs': 'bell \u0007 escape \u001b[31m tab\t line\n return\r delete \u007f',
  NUL: 'before\u0000after',
  'lone surrogates': 'high \ud83d low \ude00 both swapped \ude00\ud83d end \ud800',
  quotes: `'; drop table events; -- " \\ \\u0000 %s $1 <script>`,
  JSON: '{"message": "inner", "event_id": "00000000000000000000000000000000"}',
};

// capture runs every scenario, each in a scope of its own. Frames are named by functions only where tops is true.
export function capture(Sentry, recorder) {
  const scoped = (name, want, work, top) =>
    Sentry.withScope((scope) => recorder.report(name, work(scope), want, top));

  scoped('a message', { message: 'nothing special', level: 'info' }, () => Sentry.captureMessage('nothing special'));
  scoped('a warning', { message: 'careful', level: 'warning' }, () => Sentry.captureMessage('careful', 'warning'));
  scoped('a log', { message: 'from the console', level: 'info' }, () => Sentry.captureMessage('from the console', 'log'));
  scoped('an error', { level: 'error', exception_type: 'TypeError', exception_value: 'not a function' },
    () => Sentry.captureException(caught('not a function')), 'functionThatFails');
  scoped('an error with a cause', {
    exception: [{ type: 'TypeError', value: 'the disk is full' }, { type: 'Error', value: 'cannot save' }],
  }, () => Sentry.captureException(new Error('cannot save', { cause: caught('the disk is full') })));
  scoped('errors together', { level: 'error' },
    () => Sentry.captureException(new AggregateError([caught('one of two'), new RangeError('two of two')], 'both failed')));
  scoped('a thrown text', { level: 'error', exception_value: 'just a text' }, () => Sentry.captureException('just a text'));
  scoped('a thrown object', { level: 'error' }, () => Sentry.captureException({ code: 7, reason: 'an object' }));
  scoped('a message with parameters', { message: 'Ada bought 3 of 5' },
    () => Sentry.captureMessage(Sentry.parameterize`${'Ada'} bought ${3} of ${5}`));

  scoped('with a full scope', {
    level: 'fatal', user_id: '17', tags: { shop: 'north', count: '3', ready: 'true', empty: '' },
    user_info: { email: 'ada@example.org', username: 'ada', ip_address: '192.0.2.7', plan: 'gold' },
    contexts: { cart: { total: 12.5, items: [1, 2, 3], nested: { a: true } } },
    extra: { order: { id: 7, lines: ['a', 'b'] }, nothing: null },
    client_fingerprint: ['{{ default }}', 'cart'], transaction: 'POST /orders',
  }, (scope) => {
    scope.setTags({ shop: 'north', count: 3, ready: true, empty: '', gone: null });
    scope.setUser({ id: 17, email: 'ada@example.org', username: 'ada', ip_address: '192.0.2.7', plan: 'gold' });
    scope.setContext('cart', { total: 12.5, items: [1, 2, 3], nested: { a: true } });
    scope.setExtras({ order: { id: 7, lines: ['a', 'b'] }, nothing: null });
    scope.setFingerprint(['{{ default }}', 'cart']);
    scope.setTransactionName('POST /orders');
    scope.setLevel('fatal');
    scope.addBreadcrumb({ category: 'ui', message: 'opened the cart', level: 'info', timestamp: 1772366400.123 });
    scope.addBreadcrumb({ type: 'http', category: 'fetch', message: 'asked for prices', data: { status_code: 500, url: 'http://prices.example/v1' } });
    return Sentry.captureException(caught('with a scope'));
  }, 'functionThatFails');
  scoped('more breadcrumbs than are kept', { message: 'after many steps' }, (scope) => {
    for (let i = 0; i < 130; i++) scope.addBreadcrumb({ message: `step ${i}` }, 130);
    return Sentry.captureMessage('after many steps');
  });
  scoped('with attachments', { message: 'see the attachments' }, (scope) => {
    scope.addAttachment({ filename: 'odd.bin', data: new Uint8Array([0x7b, 0x22, 0x0a, 0, 0xff, 0xfe, 0x0a, 0x0a]) });
    scope.addAttachment({ filename: 'lines.txt', data: '{"type":"event"}\n{}\n' });
    scope.addAttachment({ filename: 'empty.txt', data: '' });
    return Sentry.captureMessage('see the attachments');
  });
  scoped('a large one', { message: 'a lot' }, (scope) => {
    scope.setExtra('much', 'Grüße '.repeat(100_000));
    return Sentry.captureMessage('a lot');
  });
  for (const [name, text] of Object.entries(texts)) {
    scoped(name, { message: text, tags: { text }, extra: { [text]: 'as a key' } }, (scope) => {
      scope.setTag('text', text);
      scope.setExtra(text, 'as a key');
      scope.setContext('text', { text });
      scope.addBreadcrumb({ message: text, data: { text } });
      return Sentry.captureMessage(text);
    });
  }
  scoped('within a span', { exception_value: 'while it was open' }, () =>
    Sentry.startSpan({ name: 'GET /orders', op: 'http.server' }, () => Sentry.captureException(caught('while it was open'))));
  for (let i = 0; i < 30; i++) {
    scoped('one of many', { message: `number ${i}` }, () => Sentry.captureMessage(`number ${i}`));
  }
}
