/* recipes.h: recipes that stand in files of their own. */
#ifndef CMD_RECIPES_H
#define CMD_RECIPES_H

#include "tour.h"

enum tour_mark crypto_sha256(struct tour_step *step);
enum tour_mark crypto_cbc(struct tour_step *step);
enum tour_mark crypto_gcm(struct tour_step *step);
enum tour_mark crypto_file(struct tour_step *step);
enum tour_mark crypto_bench(struct tour_step *step);
enum tour_mark sniff_ip(struct tour_step *step);
enum tour_mark sniff_tcp(struct tour_step *step);
enum tour_mark sniff_arp(struct tour_step *step);

#endif
