#include "pager.h"

void fallow_list_append(struct block_list *list, struct block *block)
{
	block->next = NULL;
	block->previous = list->last;
	if (list->last != NULL)
		list->last->next = block;
	else
		list->first = block;
	list->last = block;
	list->count++;
}

void fallow_list_remove(struct block_list *list, struct block *block)
{
	if (block->previous != NULL)
		block->previous->next = block->next;
	else
		list->first = block->next;
	if (block->next != NULL)
		block->next->previous = block->previous;
	else
		list->last = block->previous;
	block->next = block->previous = NULL;
	list->count--;
}
