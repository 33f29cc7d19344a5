// Signs the payload on stdin as Stripe's own library does, and prints the header.
// Arguments: the secret, the time in Unix seconds.
import { readFileSync } from 'node:fs';
import Stripe from 'stripe';

const [secret, timestamp] = process.argv.slice(2);
const payload = readFileSync(0, 'utf8');
const stripe = new Stripe('sk_test_for_signatures_only');
const header = stripe.webhooks.generateTestHeaderString({
  payload,
  secret,
  timestamp: Number(timestamp),
});
process.stdout.write(header);
