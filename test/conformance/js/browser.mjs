// Drives @sentry/browser in a page, and on a second page reports what was captured just before the first one was left.
import * as Sentry from '@sentry/browser';
import { capture, functionThatFails } from './scenarios.mjs';
import { Recorder } from './recorder.mjs';

const mode = document.documentElement.dataset.mode;
const release = `sentry-browser-${mode}@${Sentry.SDK_VERSION}`;
const recorder = new Recorder();

// arrived waits until everything has. A browser refuses, without sending it, what may outlive its page once 64 kB of
// that are on their way; for a moment it counts what has arrived.
async function arrived() {
  if (!(await Sentry.flush(30_000))) throw new Error('the SDK could not send everything');
  await new Promise((resolve) => setTimeout(resolve, 1000));
}

async function run(settings) {
  const client = Sentry.init({
    dsn: settings.dsn,
    tunnel: mode === 'tunnel' ? settings.tunnel : undefined,
    release,
    environment: 'conformance',
    maxBreadcrumbs: 130,
    maxValueLength: 1_000_000,
    normalizeDepth: 5,
    tracesSampleRate: 1,
    attachStacktrace: true,
    transportOptions: { bufferSize: 1000 },
    integrations: [Sentry.browserTracingIntegration(), Sentry.replayIntegration({ minReplayDuration: 0 })],
    replaysOnErrorSampleRate: mode === 'usual' ? 1 : 0,
  });
  recorder.watch(client);
  capture(Sentry, recorder);

  Promise.reject(new Error('nobody waits for this'));
  await recorder.find('an unhandled rejection', 'nobody waits for this', { exception_type: 'Error' });
  setTimeout(() => functionThatFails('nobody catches this'), 0);
  await recorder.find('an uncaught exception', 'nobody catches this', { exception_type: 'TypeError' }, 'functionThatFails');
  await arrived();
  const form = { message: 'I cannot pay', email: 'ada@example.org', name: 'Ada' };
  recorder.report('feedback', Sentry.captureFeedback(form), { message: 'I cannot pay', level: 'info' });
  await client.getIntegrationByName('Replay').flush();

  // Nothing waits for the last one.
  await arrived();
  recorder.report('just before the page is left', Sentry.captureMessage('good bye'), { message: 'good bye' });
  return recorder.result(release);
}

try {
  const settings = await (await fetch('/settings')).json();
  sessionStorage.setItem('result', JSON.stringify(await run(settings)));
} catch (error) {
  sessionStorage.setItem('result', JSON.stringify({ error: `${error}\n${error.stack}` }));
}
location.href = '/left';
